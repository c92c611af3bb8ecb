<%--
slow.jsp?parts=N&ms=M&flush=true|false: N lines "part I of N", M milliseconds between two of them, each flushed to the
client unless flush=false. delay=D waits D milliseconds before anything, headers included.
--%>
<%@ page session="false" contentType="text/plain; charset=UTF-8" pageEncoding="UTF-8" %>
<%@ include file="WEB-INF/params.jspf" %>
<%
long parts = number(request, "parts", 5);
long pause = number(request, "ms", 500);
boolean flush = Boolean.parseBoolean(param(request, "flush", "true"));
Thread.sleep(number(request, "delay", 0));
for (long part = 1; part <= parts; part++) {
    if (part > 1) {
        Thread.sleep(pause);
    }
    out.print("part " + part + " of " + parts + "\n");
    if (flush) {
        out.flush();
    }
}
%>
