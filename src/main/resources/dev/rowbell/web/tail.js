'use strict';
// Shows alerts as they come. Everything is text: nothing of an alert becomes HTML.
const MOST = 200;
// behind a proxy the pages may have a path of their own
const base = document.currentScript.src.replace(/tail\.js$/, '');
const rows = document.getElementById('alerts');
const state = document.getElementById('state');
const button = document.getElementById('pause');
let paused = false;
let missed = 0;
let meanwhile = 0;
let connected = false;

function say() {
  const parts = [connected ? (paused ? 'Paused.' : 'Live.') : 'No connection, trying again.'];
  if (paused && meanwhile > 0) parts.push(meanwhile + ' came meanwhile.');
  if (missed > 0) parts.push(missed + ' were left out: more came than can be shown.');
  state.textContent = parts.join(' ');
}

function row(alert) {
  const tr = document.createElement('tr');
  for (const name of ['time', 'severity', 'rule', 'table', 'key', 'reason']) {
    const td = document.createElement('td');
    td.dataset.label = name;
    if (name === 'severity') {
      const tag = document.createElement('span');
      tag.className = 'tag';
      tag.classList.add(alert.status === 'resolved' ? 'resolved' : /^[a-z]+$/.test(alert.severity) ? alert.severity : 'tag');
      tag.textContent = alert.status === 'resolved' ? 'resolved' : alert.severity;
      td.append(tag);
    } else if (name === 'time' && alert.id) {
      const link = document.createElement('a');
      link.href = base + 'explain?id=' + encodeURIComponent(alert.id);
      link.textContent = alert.time;
      td.append(link);
    } else {
      td.textContent = alert[name];
    }
    tr.append(td);
  }
  return tr;
}

button.addEventListener('click', () => {
  paused = !paused;
  meanwhile = 0;
  button.textContent = paused ? 'Go on' : 'Pause';
  say();
});
document.getElementById('clear').addEventListener('click', () => {
  rows.replaceChildren();
  missed = 0;
  say();
});

const source = new EventSource(base + 'tail/events');
source.addEventListener('open', () => { connected = true; say(); });
source.addEventListener('error', () => { connected = false; say(); });
source.addEventListener('message', event => {
  const came = JSON.parse(event.data);
  if (paused) {
    meanwhile += came.alerts.length + came.missed;
  } else {
    missed += came.missed;
    rows.prepend(...came.alerts.reverse().map(row));
    while (rows.children.length > MOST) rows.lastChild.remove();
  }
  say();
});
