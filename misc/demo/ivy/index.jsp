<%@ page session="false" contentType="text/html; charset=UTF-8" pageEncoding="UTF-8" %>
<%@ include file="WEB-INF/html.jspf" %>
<%@ include file="WEB-INF/count.jspf" %>
<%
int count = count(request);
%>
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mod_jk sample application</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --accent: #2a7ab0; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }
  h1 { font-size: 1.6rem; margin-bottom: 0; }
  h1 + p { margin-top: .25rem; opacity: .7; }
  section { border: 1px solid var(--line); border-radius: .6rem; padding: .25rem 1.25rem 1rem; margin: 1.25rem 0; }
  h2 { font-size: 1.05rem; }
  td { padding: .1rem 1.5rem .1rem 0; vertical-align: top; overflow-wrap: anywhere; }
  td:first-child { opacity: .7; white-space: nowrap; }
  a { color: var(--accent); }
  form { display: flex; flex-wrap: wrap; gap: .5rem; margin: .5rem 0; }
  input, button { font: inherit; padding: .3rem .7rem; border: 1px solid var(--line); border-radius: .4rem; }
  button { background: var(--accent); color: #fff; border-color: transparent; cursor: pointer; }
  output { display: block; font-family: ui-monospace, monospace; font-size: .85rem; overflow-wrap: anywhere; }
  .count { font-size: 2.2rem; font-weight: 600; color: var(--accent); }
</style>
</head>
<body>
<h1>It works</h1>
<p>This page was made by Tomcat and came through httpd over AJP13.</p>

<section>
  <h2>Session</h2>
  <p><span class="count" id="count"><%= count %></span> request<%= count == 1 ? "" : "s" %> in this session. Reload the page to count on.</p>
  <form method="post" action="session.jsp"><input type="hidden" name="end" value="true"><button>End the session</button></form>
</section>

<section>
  <h2>What the engine knows of you</h2>
  <table>
    <tr><td>Request</td><td><%= html(request.getMethod()) %> <%= html(request.getRequestURI()) %> <%= html(request.getProtocol()) %></td></tr>
    <tr><td>Server</td><td><%= html(request.getScheme()) %>://<%= html(request.getServerName()) %>:<%= request.getServerPort() %></td></tr>
    <tr><td>You</td><td><%= html(request.getRemoteAddr()) %>, port <%= request.getRemotePort() %></td></tr>
    <tr><td>User</td><td><%= html(request.getRemoteUser() == null ? "nobody is logged in" : request.getRemoteUser()) %></td></tr>
    <tr><td>Browser</td><td><%= html(request.getHeader("User-Agent")) %></td></tr>
  </table>
</section>

<section>
  <h2>Send something</h2>
  <form method="post" action="post.jsp">
    <input name="name" placeholder="Your name"> <input name="message" placeholder="A message"> <button>Post the form</button>
  </form>
  <form id="upload"><input type="file" required> <button>Upload a file</button></form>
  <output id="answer"></output>
</section>

<section>
  <h2>Look around</h2>
  <p>
    <a href="dump.jsp">request dump</a> ·
    <a href="download.jsp?bytes=10485760&amp;seed=1">download 10 MiB</a> ·
    <a href="slow.jsp?parts=5&amp;ms=500">slow answer</a> ·
    <a href="headers.jsp?count=20&amp;size=100">many headers</a> ·
    <a href="status.jsp?code=503&amp;sendError=true">error page</a> ·
    <a href="no-such-page.jsp">not found</a> ·
    <a href="session.jsp">session</a>
  </p>
</section>

<script>
document.getElementById("upload").addEventListener("submit", async event => {
  event.preventDefault();
  const file = event.target.querySelector("input").files[0];
  const answer = document.getElementById("answer");
  answer.textContent = "uploading …";
  try {
    const response = await fetch("upload.jsp", { method: "PUT", body: file });
    answer.textContent = await response.text();
  } catch (error) {
    answer.textContent = String(error);
  }
});
</script>
</body>
</html>
