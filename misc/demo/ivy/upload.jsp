<%-- Reads the body of any method to its end and answers "size=<bytes> sha256=<hex>". --%>
<%@ page isErrorPage="true" session="false" contentType="text/plain; charset=UTF-8" pageEncoding="UTF-8"
        import="java.io.InputStream, java.math.BigInteger, java.security.MessageDigest" %>
<%
InputStream body = request.getInputStream();
MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
byte[] block = new byte[64 * 1024];
long size = 0;
for (int n = body.read(block); n >= 0; n = body.read(block)) {
    sha256.update(block, 0, n);
    size += n;
}
out.print(String.format("size=%d sha256=%064x\n", size, new BigInteger(1, sha256.digest())));
%>
