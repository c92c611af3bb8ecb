<%--
The request as the engine sees it: text/plain, one "key: value" per line, in this order: request facts, session,
headers (as they came, repeated names on lines of their own), attributes (sorted). ISO-8859-1 because Tomcat decodes
AJP strings that way: every byte that the web server sent comes back unchanged. CR and LF in a value become \r and \n.

Tomcat does not list attributes that came with AJP, it only answers for their names. Those of TLS are always asked
for; a request header X-Dump-Attributes: NAME,NAME asks for more.

isErrorPage is the JSP way to say "every method": other pages are refused all but GET, POST and HEAD. So in upload.jsp and status.jsp.
--%>
<%@ page isErrorPage="true" session="false" contentType="text/plain; charset=ISO-8859-1" pageEncoding="UTF-8"
        import="java.io.IOException, java.security.cert.X509Certificate, java.util.*" %>
<%!
private static void line(jakarta.servlet.jsp.JspWriter out, String key, Object value) throws IOException {
    out.print(key + ": " + String.valueOf(value).replace("\r", "\\r").replace("\n", "\\n") + "\n");
}

private static String text(Object value) {
    // No newer syntax: Tomcat 10.1 compiles pages as Java 11 unless told otherwise.
    if (value instanceof X509Certificate[]) {
        StringJoiner subjects = new StringJoiner(" | ");
        for (X509Certificate certificate : (X509Certificate[]) value) {
            subjects.add(certificate.getSubjectX500Principal().getName());
        }
        return subjects.toString();
    }
    return String.valueOf(value);
}
%>
<%
line(out, "method", request.getMethod());
line(out, "requestURI", request.getRequestURI());
line(out, "queryString", request.getQueryString());
line(out, "protocol", request.getProtocol());
line(out, "scheme", request.getScheme());
line(out, "secure", request.isSecure());
line(out, "serverName", request.getServerName());
line(out, "serverPort", request.getServerPort());
line(out, "remoteAddr", request.getRemoteAddr());
line(out, "remoteHost", request.getRemoteHost());
line(out, "remotePort", request.getRemotePort());
line(out, "localAddr", request.getLocalAddr());
line(out, "localName", request.getLocalName());
line(out, "localPort", request.getLocalPort());
line(out, "remoteUser", request.getRemoteUser());
line(out, "authType", request.getAuthType());
line(out, "contentType", request.getContentType());
line(out, "contentLength", request.getContentLengthLong());
line(out, "requestedSessionId", request.getRequestedSessionId());
jakarta.servlet.http.HttpSession current = request.getSession(false);
line(out, "sessionId", current == null ? null : current.getId());

Set<String> names = new LinkedHashSet<>();
for (String name : Collections.list(request.getHeaderNames())) {
    // Names are case-insensitive: two spellings are one header with two values.
    if (names.stream().noneMatch(name::equalsIgnoreCase)) {
        names.add(name);
    }
}
for (String name : names) {
    for (String value : Collections.list(request.getHeaders(name))) {
        line(out, "header." + name, value);
    }
}

SortedSet<String> attributes = new TreeSet<>(List.of(
        "jakarta.servlet.request.X509Certificate", "jakarta.servlet.request.cipher_suite",
        "jakarta.servlet.request.key_size", "jakarta.servlet.request.ssl_session_id",
        "org.apache.tomcat.util.net.secure_protocol_version"));
attributes.addAll(Collections.list(request.getAttributeNames()));
for (String more : Collections.list(request.getHeaders("X-Dump-Attributes"))) {
    attributes.addAll(List.of(more.split("[, ]+")));
}
for (String name : attributes) {
    Object value = request.getAttribute(name);
    if (value != null) {
        line(out, "attribute." + name, text(value));
    }
}
%>
