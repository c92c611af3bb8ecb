<%--
Counts the requests of a session: "session=<id> new=<true|false> count=<n>".
POST with end=true ends the session and redirects to the start page.
--%>
<%@ page session="false" contentType="text/plain; charset=UTF-8" pageEncoding="UTF-8" %>
<%@ include file="WEB-INF/count.jspf" %>
<%
if ("POST".equals(request.getMethod()) && "true".equals(request.getParameter("end"))) {
    jakarta.servlet.http.HttpSession old = request.getSession(false);
    if (old != null) {
        old.invalidate();
    }
    response.sendRedirect("index.jsp");
} else {
    int count = count(request);
    jakarta.servlet.http.HttpSession current = request.getSession();
    out.print("session=" + current.getId() + " new=" + current.isNew() + " count=" + count + "\n");
}
%>
