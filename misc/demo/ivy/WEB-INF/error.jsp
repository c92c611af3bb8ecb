<%-- The engine's own error page: it must reach the user unless the web server is asked to replace it. --%>
<%@ page isErrorPage="true" session="false" contentType="text/html; charset=UTF-8" pageEncoding="UTF-8" %>
<%@ include file="html.jspf" %>
<%
Object code = request.getAttribute("jakarta.servlet.error.status_code");
Object message = request.getAttribute("jakarta.servlet.error.message");
%>
<!DOCTYPE html>
<html lang="en">
<head><meta charset="UTF-8"><title>Error <%= html(code) %></title></head>
<body>
<h1>Error <%= html(code) %></h1>
<p><%= html(message == null ? "" : message) %></p>
<p>This page comes from the sample application.</p>
</body>
</html>
