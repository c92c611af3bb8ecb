(function () {
  "use strict";
  var page = document.documentElement;
  var every = Number(page.getAttribute("data-refresh")) * 1000;
  var button = document.getElementById("pause");
  var note = document.getElementById("note");
  var paused = false;
  if (!(every > 0)) { return; }
  function key(details) { return details.getAttribute("data-key"); }
  function busy() {
    var at = document.activeElement;
    return paused || document.hidden || (at && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName));
  }
  function show(text) {
    var next = new DOMParser().parseFromString(text, "text/html").getElementById("live");
    var now = document.getElementById("live");
    if (!next) { return; }
    var open = {};
    now.querySelectorAll("details").forEach(function (d) { open[key(d)] = d.open; });
    var focused = document.activeElement && document.activeElement.id;
    var x = window.scrollX, y = window.scrollY;
    var wide = {};
    now.querySelectorAll(".scroll[id]").forEach(function (s) { wide[s.id] = s.scrollLeft; });
    now.replaceWith(next);
    next.querySelectorAll("details").forEach(function (d) {
      if (key(d) in open) { d.open = open[key(d)]; }
    });
    next.querySelectorAll(".scroll[id]").forEach(function (s) { s.scrollLeft = wide[s.id] || 0; });
    if (focused && document.getElementById(focused)) {
      document.getElementById(focused).focus({ preventScroll: true });
    }
    window.scrollTo(x, y);
  }
  function load() {
    if (busy()) { return; }
    fetch(location.href, { credentials: "same-origin", cache: "no-store" }).then(function (answer) {
      if (!answer.ok) { throw new Error(answer.status); }
      return answer.text();
    }).then(function (text) { note.textContent = ""; show(text); }).catch(function () {
      note.textContent = "This page is old: the server did not answer.";
    });
  }
  button.hidden = false;
  button.addEventListener("click", function () {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Continue" : "Pause";
  });
  setInterval(load, every);
}());
