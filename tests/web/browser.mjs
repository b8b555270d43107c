// A server of the program under test, and Debian's Chromium looking at its page.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

const { chromium } = createRequire(new URL('../../web/package.json', import.meta.url))('playwright-core');

const program = process.env.FOVEA_PROGRAM;
const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// Ends with the test that started it. Resolves when it listens.
export async function serve(t, model, { args = [], keys } = {}) {
  const env = { ...process.env, ...(keys ? { FOVEA_API_KEYS: keys.join(',') } : {}) };
  const child = spawn(program, ['serve', '-m', model, '--port', '0', '-t', '2', ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  t.after(async () => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGTERM'), 3000).unref(); // the second one does not wait for answers
    await ended;
  });
  let log = '';
  return new Promise((resolve, reject) => {
    child.stderr.on('data', (piece) => {
      log += piece;
      const listening = log.match(/ at (http:\/\/\S+)\n/);
      if (listening) resolve(listening[1]);
    });
    child.on('exit', () => reject(new Error(`the server ended:\n${log}`)));
  });
}

export async function browse(t) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: quiet });
  t.after(() => browser.close());
  return browser;
}

// A page of its own storage, that at the end must have asked nobody but `origin`, and have said nothing on the console but what a
// test announces in `expected`.
export async function open(t, browser, origin, { hash = '', width = 1200, height = 800, expected = [], ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, ...more });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !expected.some((one) => one.test(message.text()))) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const { protocol, origin: asked } = new URL(request.url());
    if (protocol.startsWith('http') && asked !== new URL(origin).origin) complaints.push(`asked ${request.url()}`);
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  });
  await page.goto(origin + '/' + hash);
  return page;
}

// From here on, what the page asks of models goes on for `tokens`: an answer that a test wants to stop must not end before.
export async function answersGoOn(page, tokens) {
  const ends = [0, 1, 2, 106]; // of Gemma and SmolLM: the ends of texts and turns
  await page.route('**/v1/{chat/,}completions', (route) => {
    const request = route.request().postDataJSON();
    const logit_bias = Object.fromEntries(ends.map((token) => [token, -100]));
    return route.continue({ postData: JSON.stringify({ ...request, max_tokens: tokens, logit_bias }) });
  });
}

export async function isAsWideAsItsWindow(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${content} pixels of content in ${window}`);
}
