<%--
status.jsp?code=N[&body=TEXT][&sendError=true]: answers with that status, with TEXT as the body or without a body.
sendError=true lets the engine make its error page (WEB-INF/error.jsp), TEXT being the message.
--%>
<%@ page isErrorPage="true" session="false" contentType="text/plain; charset=UTF-8" pageEncoding="UTF-8" %>
<%@ include file="WEB-INF/params.jspf" %>
<%
int code = (int) number(request, "code", 200);
String text = request.getParameter("body");
if ("true".equals(request.getParameter("sendError"))) {
    response.sendError(code, text);
} else {
    response.setStatus(code);
    if (text != null) {
        out.print(text);
    }
}
%>
