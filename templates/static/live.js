// Follows the log of a run that goes on. Without this script the page shows
// what the run had printed, and a link to refresh it.
(function () {
  "use strict";
  var log = document.getElementById("log");
  if (!log || !log.dataset.follow || !window.EventSource) return;
  var note = document.getElementById("log-note");
  var refresh = note.querySelector("a");
  var source = new EventSource(log.dataset.follow);
  var seen = false;
  log.scrollTop = log.scrollHeight;

  source.addEventListener("open", function () {
    note.textContent = "The run goes on; what it prints appears here.";
  });
  source.addEventListener("log", function (event) {
    // Whoever has scrolled up wants to read, not to be moved.
    var atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(JSON.parse(event.data));
    seen = true;
    if (atEnd) log.scrollTop = log.scrollHeight;
  });
  source.addEventListener("end", function () {
    source.close();
    // Only once something has happened, or a run that nobody works on any
    // more would have this page load itself for ever.
    if (seen) location.reload();
    else note.replaceChildren("Nothing more comes here. ", refresh, " to see how it ended.");
  });
  source.addEventListener("error", function () {
    if (source.readyState === EventSource.CLOSED) {
      note.replaceChildren("The connection is lost. ", refresh, " to see more.");
    } else {
      note.textContent = "The connection is lost; trying again.";
    }
  });
})();
