<%--
headers.jsp?count=N&size=M[&cookies=C]: N headers X-Demo-1 … X-Demo-N of M letters each, and C (3) Set-Cookie headers
demo1 … demoC. More than fits the AJP packet is an error of the engine.
--%>
<%@ page session="false" contentType="text/plain; charset=UTF-8" pageEncoding="UTF-8" %>
<%@ include file="WEB-INF/params.jspf" %>
<%
long count = number(request, "count", 10);
long size = number(request, "size", 20);
long cookies = number(request, "cookies", 3);
String value = "a".repeat((int) size);
for (long i = 1; i <= count; i++) {
    response.addHeader("X-Demo-" + i, value);
}
for (long i = 1; i <= cookies; i++) {
    response.addHeader("Set-Cookie", "demo" + i + "=" + i + "; Path=/; HttpOnly");
}
out.print("count=" + count + " size=" + size + " cookies=" + cookies + "\n");
%>
