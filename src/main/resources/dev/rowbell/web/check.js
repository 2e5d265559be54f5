'use strict';
// Checks a rule while it is typed, as the button Check does: one check at a time, and none where nothing has changed. Everything is text.
const PAUSE = 800;
// behind a proxy the pages may have a path of their own
const address = document.currentScript.src.replace(/check\.js$/, 'api/rules/check');
const form = document.getElementById('rule');
const result = document.getElementById('checked');
let checked = typed();
let checking = false;
let timer;

function typed() {
  return new URLSearchParams(new FormData(form)).toString();
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function show(text, problems) {
  // those of the form that was sent before
  document.querySelectorAll('#content > [role=alert]').forEach(old => old.remove());
  const list = document.createElement('ul');
  list.append(...problems.map(problem => element('li', problem)));
  result.className = problems.length > 0 ? 'notice wrong' : 'notice';
  result.replaceChildren(element('span', text), ...(problems.length > 0 ? [list] : []));
  for (const field of form.elements) {
    if (problems.some(problem => problem.startsWith(field.name + ':'))) {
      field.setAttribute('aria-invalid', 'true');
    } else {
      field.removeAttribute('aria-invalid');
    }
  }
}

async function check() {
  const now = typed();
  if (checking || now === checked || form.elements.namedItem('name').value.trim() === '') return;
  checking = true;
  checked = now;
  try {
    const answer = await fetch(address, { method: 'POST', body: new URLSearchParams(now) });
    if (!answer.headers.get('Content-Type').startsWith('application/json')) throw new Error(await answer.text());
    const said = await answer.json();
    if (typed() === now) show(said.done ?? 'This is wrong:', said.problems ?? []);
  } catch (e) {
    show('It could not be checked: ' + e.message, []);
  }
  checking = false;
  later();
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(check, PAUSE);
}

form.addEventListener('input', later);
