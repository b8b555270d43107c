// Talking on the page: sending, streams, stopping, branches, what is kept, keys, phones, keyboards.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { answersGoOn, browse, isAsWideAsItsWindow, open, serve } from './browser.mjs';

const model = 'smollm2-135m-instruct';
const suite = { after: (work) => ends.push(work) };
const ends = [];
let origin, browser;

before(async () => {
  [origin, browser] = await Promise.all([serve(suite, model, { args: ['-c', '8192'] }), browse(suite)]);
});
test.after(async () => {
  for (const end of ends.reverse()) await end();
});

async function ask(page, text) {
  await page.getByLabel('Message').fill(text);
  await page.getByLabel('Message').press('Enter');
}

const answers = (page) => page.getByRole('article', { name: 'Answer' });
const isWhole = (page) => page.getByRole('button', { name: 'Send', exact: true }).waitFor();

async function set(page, label, value) {
  const field = page.getByLabel(label);
  if (!(await field.isVisible())) await page.getByRole('button', { name: 'Settings' }).click();
  await field.fill(String(value));
}

test('an answer streams in, and says what of its prompt was reused', async (t) => {
  const page = await open(t, browser, origin);
  await set(page, 'Longest answer', 300);
  await set(page, 'Temperature', 0);
  await page.evaluate(() => { // watched in the page: from here, one look may take longer than a short answer
    window.lengths = new Set();
    const look = () => window.lengths.add(document.querySelector('.assistant .said')?.innerText.length ?? 0);
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await ask(page, 'Write a long story about three rivers of Europe.');
  await isWhole(page);
  const seen = await page.evaluate(() => window.lengths.size);
  assert.ok(seen > 4, `an answer of 300 tokens was seen in ${seen} lengths`);
  assert.match(await answers(page).locator('.note').innerText(), /reused \d+ of \d+ prompt tokens.* · 300 tokens · \d+ t\/s/);
  await set(page, 'Longest answer', 8);
  await ask(page, 'And of Asia?');
  await isWhole(page);
  const [, reused, of] = (await answers(page).nth(1).locator('.note').innerText()).match(/reused (\d+) of (\d+)/);
  assert.ok(reused > 0.6 * of, `the conversation so far is known: ${reused} of ${of}`);
});

test('an answer that is stopped stays as it is, and its place is free, also on a slow machine', async (t) => {
  const page = await open(t, browser, origin);
  const tools = await page.context().newCDPSession(page);
  await tools.send('Emulation.setCPUThrottlingRate', { rate: 8 }); // drawing every token would leave no time to see the click
  await answersGoOn(page, 7000);
  await ask(page, 'Write a long story about the sea.');
  await page.waitForFunction(() => document.querySelector('.assistant .said')?.innerText.length > 20);
  await page.getByRole('button', { name: 'Stop' }).click();
  await isWhole(page);
  assert.match(await answers(page).locator('.note').innerText(), /stopped/);
  const text = await answers(page).locator('.said').innerText();
  await ask(page, 'Say yes.');
  await page.getByRole('button', { name: 'Stop' }).click();
  await isWhole(page);
  assert.equal(await answers(page).first().locator('.said').innerText(), text);
});

test('editing and asking again branch, and every branch can be gone back to, also after a reload', async (t) => {
  const page = await open(t, browser, origin);
  await set(page, 'Longest answer', 12);
  await ask(page, 'Name a fruit.');
  await isWhole(page);
  await page.getByRole('button', { name: 'Answer again' }).click();
  await isWhole(page);
  await page.getByRole('group', { name: 'Answer 2 of 2' }).waitFor();
  await page.getByRole('button', { name: 'Edit' }).click();
  await page.getByLabel('Edit the message').fill('Name a colour.');
  await page.getByRole('button', { name: 'Send as a branch' }).click();
  await isWhole(page);
  await page.getByRole('group', { name: 'Version 2 of 2' }).waitFor();
  assert.equal(await page.getByRole('article', { name: 'You' }).locator('.said').innerText(), 'Name a colour.');
  await page.getByRole('button', { name: 'Previous version' }).click();
  assert.equal(await page.getByRole('article', { name: 'You' }).locator('.said').innerText(), 'Name a fruit.');
  await page.getByRole('button', { name: 'Previous answer' }).click();
  const first = await answers(page).locator('.said').innerText();
  await page.reload();
  await page.getByRole('group', { name: 'Answer 1 of 2' }).waitFor();
  assert.equal(await answers(page).locator('.said').innerText(), first);
});

test('what a model writes cannot do anything on the page', async (t) => {
  const page = await open(t, browser, origin);
  const text =
    '<img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](http://127.0.0.9/b.png) [c](https://example.org/)\n\n|d|\n|-:|\n|1|\n\n<script>alert(1)</script>';
  await page.route('**/v1/chat/completions', (route) =>
    route.fulfill({
      contentType: 'text/event-stream',
      body: `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text }, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`,
    }),
  );
  page.on('dialog', () => assert.fail('a script ran'));
  await ask(page, 'Do harm.');
  await isWhole(page);
  const said = answers(page).locator('.said');
  assert.match(await said.innerText(), /<img src=x/);
  assert.equal(await said.locator('img, script').count(), 0);
  assert.deepEqual(await said.locator('a').evaluateAll((links) => links.map((link) => [link.getAttribute('href'), link.rel])),
    [['http://127.0.0.9/b.png', 'noopener noreferrer nofollow'], ['https://example.org/', 'noopener noreferrer nofollow']]);
  assert.equal(await said.locator('td').evaluate((cell) => getComputedStyle(cell).textAlign), 'right');
});

test('a server with keys gets one, and only from this tab', async (t) => {
  const locked = await serve(t, model, { args: ['-c', '512'], keys: ['open-sesame'] });
  const page = await open(t, browser, locked, { expected: [/401/] });
  await page.getByLabel('API key', { exact: true }).fill('wrong');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('Incorrect API key provided.').waitFor();
  await page.getByLabel('API key', { exact: true }).fill('wrong'); // asked again, not left alone
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('Incorrect API key provided.').waitFor();
  await page.getByLabel('API key', { exact: true }).fill('open-sesame');
  await page.getByRole('button', { name: 'Continue' }).click();
  await set(page, 'Longest answer', 4);
  await ask(page, 'Hello');
  await isWhole(page);
  assert.match(await answers(page).locator('.note').innerText(), /4 tokens/);
  assert.deepEqual(await page.evaluate(() => [sessionStorage['fovea.key'], JSON.stringify(localStorage).includes('sesame')]), ['open-sesame', false]);
});

test('everything is there at 390 pixels, with nothing to scroll sideways', async (t) => {
  const page = await open(t, browser, origin, { width: 390, height: 760 });
  await set(page, 'Longest answer', 8);
  await isAsWideAsItsWindow(page);
  await page.keyboard.press('Escape');
  await ask(page, 'An unbroken word: ' + 'm'.repeat(200));
  await isWhole(page);
  await isAsWideAsItsWindow(page);
  await page.getByRole('button', { name: 'Conversations' }).click();
  await page.getByRole('button', { name: 'New conversation' }).click();
  await page.getByRole('heading', { name: model }).waitFor();
  await isAsWideAsItsWindow(page);
});

test('a conversation needs no mouse', async (t) => {
  const page = await open(t, browser, origin);
  const reach = async (name) => {
    for (let i = 0; i < 60; ++i) {
      await page.keyboard.press('Tab');
      const focused = await page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.innerText);
      if (focused.trim() === name) return;
    }
    assert.fail(`${name} is not reached by Tab`);
  };
  await page.getByLabel('Message').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), 'Message');
  await answersGoOn(page, 7000);
  await page.keyboard.type('Write a long story about a lighthouse keeper.');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('.assistant .said')?.innerText.length > 10);
  await page.keyboard.press('Escape');
  await isWhole(page);
  await reach('Skip to content');
  await reach('Edit');
  await page.keyboard.press('Enter');
  await page.keyboard.type(' And his dog.');
  await page.keyboard.press('Enter');
  await page.getByRole('group', { name: 'Version 2 of 2' }).waitFor();
  await reach('Stop');
  await page.keyboard.press('Enter');
  await isWhole(page);
  await reach('Previous version');
  await page.keyboard.press('Enter');
  await page.getByRole('group', { name: 'Version 1 of 2' }).waitFor();
});
