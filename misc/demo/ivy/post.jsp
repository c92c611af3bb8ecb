<%-- Echoes query and form parameters, one "name=value" per line, names sorted, values in the order they came. --%>
<%@ page session="false" contentType="text/plain; charset=UTF-8" pageEncoding="UTF-8" import="java.util.*" %>
<%
request.setCharacterEncoding("UTF-8");
for (Map.Entry<String, String[]> parameter : new TreeMap<>(request.getParameterMap()).entrySet()) {
    for (String value : parameter.getValue()) {
        out.print(parameter.getKey() + "=" + value + "\n");
    }
}
%>
