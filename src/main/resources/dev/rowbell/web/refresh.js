'use strict';
// Shows the page as it is now, every 10 seconds, until it is paused. What has the focus or is selected stays.
const EVERY = 10000;
const PARTS = ['#content', 'footer'];
const content = document.getElementById('content');
const state = document.getElementById('state');
const button = document.getElementById('pause');
let paused = false;
let connected = true;

function say() {
  const text = paused ? 'Paused.' : connected ? 'Shows every 10 seconds what is new.' : 'No connection, trying again.';
  if (state.textContent !== text) state.textContent = text;
}

function isInUse() {
  return content.contains(document.activeElement) || !getSelection().isCollapsed;
}

async function load() {
  if (paused || document.hidden || isInUse()) return;
  try {
    const answer = await fetch(location.href);
    if (answer.redirected) {
      // to the login: the session has ended
      location.reload();
      return;
    }
    const now = new DOMParser().parseFromString(await answer.text(), 'text/html');
    connected = answer.ok && now.getElementById('content') !== null;
    if (connected && !paused && !isInUse()) {
      PARTS.forEach(part => document.querySelector(part).replaceChildren(...now.querySelector(part).childNodes));
    }
  } catch (e) {
    connected = false;
  }
  say();
}

button.addEventListener('click', () => {
  paused = !paused;
  button.textContent = paused ? 'Go on' : 'Pause this page';
  say();
  load();
});
button.hidden = false;
say();
setInterval(load, EVERY);
