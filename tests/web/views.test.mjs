// What the page shows of cache, plan and load: that it is the server's, and that it moves.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { answersGoOn, browse, isAsWideAsItsWindow, open, serve } from './browser.mjs';

const model = 'gemma3-270m';
const ends = [];
const suite = { after: (work) => ends.push(work) };
let origin, browser;

before(async () => {
  const args = ['-c', '4096', '--sequences', '2', '--kv-global', 'int8'];
  [origin, browser] = await Promise.all([serve(suite, model, { args }), browse(suite)]);
});
test.after(async () => {
  for (const end of ends.reverse()) await end();
});

const complete = (at, prompt, max_tokens, more = {}) =>
  fetch(`${at}/v1/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...more },
    body: JSON.stringify({ model, prompt, max_tokens, temperature: 0 }),
  }).then((reply) => reply.json());
const numbers = (count) => Array.from({ length: count }, (_, i) => `${i}.`).join(' ');
const number = async (locator) => (await locator.innerText()).replaceAll(',', '');

test('a model without a template continues texts', async (t) => {
  const page = await open(t, browser, origin);
  await answersGoOn(page, 3500);
  await page.getByText('continues texts').waitFor();
  await page.getByLabel('Message').fill('The sea at night is');
  await page.getByLabel('Message').press('Enter');
  await page.waitForFunction(() => document.querySelector('.assistant .said')?.innerText.length > 20);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByRole('button', { name: 'Send', exact: true }).waitFor();
});

// Of the strips that are there now: what it is, its tokens, first and last position of what global and local layers hold.
const stripsOf = (page) =>
  page.locator('.cache-view').evaluate((view) =>
    [...view.querySelectorAll('article.strip')].map((strip) => {
      const drawn = (kind) => {
        const boxes = [...strip.querySelectorAll(`.field path.${kind}`)].map((path) => path.getBBox());
        return [Math.min(...boxes.map((box) => box.x)), Math.max(...boxes.map((box) => box.x + box.width))];
      };
      const tokens = Number(strip.querySelector('h3').innerText.replaceAll(',', '').match(/(\d+) tokens/)[1]);
      return { title: strip.ariaLabel, tokens, global: drawn('global'), local: drawn('local') };
    }),
  );

test('the strips of the cache change as requests come', async (t) => {
  const page = await open(t, browser, origin, { hash: '#cache' });
  await page.getByRole('heading', { name: 'Cache', exact: true }).waitFor();
  assert.ok((await stripsOf(page)).every((strip) => strip.tokens < 1000));
  await complete(origin, numbers(600), 1);
  let strips, long;
  do {
    await page.waitForTimeout(50);
    strips = await stripsOf(page);
    long = strips.find(({ tokens }) => tokens > 1000);
  } while (!long || strips.some(({ title }) => title.startsWith('Running'))); // of what is over, the page may hear a second later
  assert.deepEqual(long.global, [0, long.tokens]);
  const field = page.getByRole('article', { name: long.title, exact: true }).locator('.field');
  await field.press('End');
  assert.match(await field.getAttribute('aria-valuetext'), /15 local, bf16: kept by \d+; 3 global, int8: kept by \d+/);

  await complete(origin, numbers(600), 1);
  const row = page.locator('.requests tbody tr').first();
  await page.waitForFunction(() => /all that can be/.test(document.querySelector('.requests tbody tr')?.innerText ?? ''));
  const [, reused, of] = (await number(row)).match(/(\d+) of (\d+)/);
  assert.equal(Number(reused), of - 1);
});

test('a running sequence is shown while it runs, its local layers with their window alone', async (t) => {
  const page = await open(t, browser, origin, { hash: '#cache' });
  const answer = complete(origin, numbers(600) + ' And then', 1000);
  const strip = page.getByRole('article', { name: 'Running sequence 1' });
  const field = strip.locator('.field');
  await field.press('Home');
  assert.match(await field.getAttribute('aria-valuetext'), /^position 0: 15 local, bf16: given back.*; 3 global, int8: held by 1 running/);
  const running = (await stripsOf(page)).find(({ title }) => title === 'Running sequence 1');
  assert.deepEqual(running.global, [0, running.tokens]);
  assert.ok(running.tokens - running.local[0] <= 512 + 16, `a window of 512, in whole pages: ${running.local[0]} to ${running.tokens}`);
  await answer;
  await strip.waitFor({ state: 'detached' });
});

test('a key sees what its own requests left, and nothing of others', async (t) => {
  const locked = await serve(t, model, { args: ['-c', '1024', '--sequences', '2'], keys: ['key-a', 'key-b'] });
  await complete(locked, 'A secret of A', 1, { Authorization: 'Bearer key-a' });
  const page = await open(t, browser, locked, { hash: '#cache', expected: [/401/] });
  await page.getByLabel('API key', { exact: true }).fill('key-b');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('1 of other keys are not shown.').waitFor();
  assert.equal(await page.locator('article.strip').count(), 0);
  assert.equal(await page.locator('.requests tbody tr').count(), 0);
});

test('sliders of the plan move its numbers and its curve, and the numbers are the planner\'s', async (t) => {
  const page = await open(t, browser, origin, { hash: '#plan' });
  const kv = page.locator('[data-number=kv]');
  const drawn = () => page.locator('.plot canvas').evaluate((canvas) => canvas.toDataURL());
  const after = async (change) => {
    const [old, oldCurve] = [await kv.innerText(), await drawn()];
    const [reply] = await Promise.all([page.waitForResponse('**/page/plan'), change()]);
    await page.waitForFunction((old) => document.querySelector('[data-number=kv]').innerText !== old, old);
    await page.waitForFunction((old) => document.querySelector('.plot canvas').toDataURL() !== old, oldCurve);
    return reply.json();
  };
  await kv.waitFor();
  const plain = await after(() => page.getByRole('slider', { name: /^Context/ }).fill('8')); // 128k
  assert.equal(plain.plan.context, 131072);
  const allGlobal = await after(() => page.getByLabel('Local : global layers').fill('1'));
  assert.ok(allGlobal.plan.kv_bytes > 5 * plain.plan.kv_bytes);
  assert.equal(allGlobal.plan.kv_bytes, allGlobal.plan.kv_all_global_bytes);
  assert.equal(await page.locator('.layer-strip rect.local').count(), 0);
  const narrow = await after(() => page.getByLabel('Global codec').selectOption('int4'));
  assert.ok(narrow.plan.kv_bytes < 0.3 * allGlobal.plan.kv_bytes);
  await after(() => page.getByRole('combobox', { name: 'Model' }).selectOption('gemma3-27b'));
  assert.equal(await page.locator('.layer-strip g').count(), 62);
  await after(() => page.getByRole('slider', { name: /^Sequences/ }).fill('8')); // 256: no machine holds them
  await page.getByText('does not fit').waitFor();
});

test('sliders of the plan need no mouse', async (t) => {
  const page = await open(t, browser, origin, { hash: '#plan' });
  await page.getByRole('slider', { name: /^Window/ }).focus();
  const windowOf = (answer) => answer.plan.groups.find((group) => group.kind === 'local').window;
  const narrower = page.waitForResponse(async (reply) => reply.url().endsWith('/page/plan') && windowOf(await reply.json()) === 128);
  await page.keyboard.press('ArrowRight');
  await narrower;
});

test('the load moves with the work', async (t) => {
  const page = await open(t, browser, origin, { hash: '#load' });
  const rate = page.locator('.numbers b').first();
  const answer = complete(origin, 'The lighthouse', 200);
  await page.waitForFunction(() => Number(document.querySelector('.numbers b')?.innerText) > 0);
  await answer;
  await page.waitForFunction(() => document.querySelector('.numbers b').innerText === '0');
  assert.match(await page.getByText('to the first token').locator('..').innerText(), /\d (ms|s)/);
  await rate.waitFor();
});

for (const view of ['cache', 'plan', 'load']) {
  test(`${view} fits 390 pixels, in the dark`, async (t) => {
    const page = await open(t, browser, origin, { hash: `#${view}`, width: 390, height: 760, colorScheme: 'dark' });
    await page.locator('.view .numbers').first().waitFor();
    await isAsWideAsItsWindow(page);
    assert.ok(await page.locator('main').evaluate((main) => main.scrollWidth <= main.clientWidth), 'nothing of it scrolls sideways');
  });
}
