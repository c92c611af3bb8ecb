<%--
download.jsp?bytes=N&seed=S[&length=false]: N bytes that are the same for the same seed, with Content-Length unless
length=false (then the web server frames the answer). HEAD answers the headers alone.

The bytes are SplitMix64, 64-bit unsigned arithmetic modulo 2^64: word i (0, 1, 2 …) is
    z = seed + (i + 1) * 0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    z =  z ^ (z >> 31)
written as 8 bytes, least significant first; the last word is cut where N ends. seed is unsigned decimal, 0 if absent.
--%>
<%@ page session="false" contentType="application/octet-stream" pageEncoding="UTF-8"
        import="java.io.IOException, java.io.OutputStream, java.nio.ByteBuffer, java.nio.ByteOrder" %>
<%@ include file="WEB-INF/params.jspf" %>
<%!
private static final long GAMMA = 0x9E3779B97F4A7C15L;

/** Fills the block with the words from word number first on. */
private static void fill(ByteBuffer block, long seed, long first) {
    long state = seed + first * GAMMA;
    for (int at = 0; at < block.capacity(); at += Long.BYTES) {
        state += GAMMA;
        long z = state;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        block.putLong(at, z ^ (z >>> 31));
    }
}

private static void send(OutputStream to, long bytes, long seed) throws IOException {
    ByteBuffer block = ByteBuffer.allocate(64 * 1024).order(ByteOrder.LITTLE_ENDIAN);
    for (long sent = 0; sent < bytes; sent += block.capacity()) {
        fill(block, seed, sent / Long.BYTES);
        to.write(block.array(), 0, (int) Math.min(block.capacity(), bytes - sent));
    }
}
%>
<%
long bytes = number(request, "bytes", 0);
long seed = Long.parseUnsignedLong(param(request, "seed", "0"));
if (!"false".equals(request.getParameter("length"))) {
    response.setContentLengthLong(bytes);
}
if (!"HEAD".equals(request.getMethod())) {
    send(response.getOutputStream(), bytes, seed);
}
%>
