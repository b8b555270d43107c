// screenshots.mjs: the pictures of docs/, taken anew. FOVEA_PROGRAM names the program; the models of the catalogue have to be installed.
import { browse, open, serve } from './browser.mjs';

const docs = new URL('../../docs/', import.meta.url).pathname;
const ends = [];
const run = { after: (work) => ends.push(work) };

const browser = await browse(run);
const chat = await serve(run, 'smollm2-135m-instruct', { args: ['-c', '4096'] });
const hybrid = await serve(run, 'gemma3-270m', { args: ['-c', '8192', '--sequences', '4', '--kv-global', 'int8'] });

const shoot = (page, name) => page.screenshot({ path: `${docs}page-${name}.png` });
const isWhole = (page) => page.getByRole('button', { name: 'Send', exact: true }).waitFor({ timeout: 60_000 });

async function say(page, text) {
  await page.getByLabel('Message').fill(text);
  await page.getByLabel('Message').press('Enter');
  await isWhole(page);
}

async function talk(page) {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('System prompt').fill('You are a patient teacher. Be brief.');
  await page.getByLabel('Temperature').fill('0');
  await page.getByLabel('Longest answer').fill('150');
  await page.keyboard.press('Escape');
  await say(page, 'What is a lighthouse, and why do ships need it?');
  await say(page, 'Write a Python function that returns the sum of two numbers.');
}

const wide = await open(run, browser, chat, { width: 1200, height: 760, colorScheme: 'light' });
await talk(wide);
await wide.getByRole('button', { name: 'Answer again' }).last().click();
await isWhole(wide);
await wide.getByRole('button', { name: 'Settings' }).click();
await wide.mouse.move(0, 0);
await shoot(wide, 'chat');

const phone = await open(run, browser, chat, { width: 390, height: 780, colorScheme: 'dark' });
await talk(phone);
await shoot(phone, 'phone');

const complete = (prompt, max_tokens) =>
  fetch(`${hybrid}/v1/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'gemma3-270m', prompt, max_tokens, temperature: 0.8, seed: 1 }),
  });
const story = (pages) => Array.from({ length: pages }, (_, i) => `Page ${i}. The lighthouse keeper wrote down the weather, the ships, and what he had thought of. `).join('');
const load = await open(run, browser, hybrid, { hash: '#load', width: 1280, height: 900, colorScheme: 'light' });
await complete(story(130), 8);
await complete(story(60) + 'Then the storm came.', 60);
await Promise.all([1, 2, 3, 4, 5, 6].map((i) => complete(story(20 * i) + 'And then', 40 * i)));
const answer = complete(story(130) + 'On the last page he wrote:', 600);
const cache = await open(run, browser, hybrid, { hash: '#cache', width: 1280, height: 1000, colorScheme: 'light' });
await cache.getByRole('heading', { name: /Running sequence 1/ }).waitFor();
await shoot(cache, 'cache');
await shoot(load, 'load');
await answer;

const plan = await open(run, browser, hybrid, { hash: '#plan', width: 1280, height: 1000, colorScheme: 'dark' });
await plan.locator('[data-number=kv]').waitFor();
await plan.getByRole('combobox', { name: 'Model' }).selectOption('gemma3-27b');
await plan.getByRole('slider', { name: /^Context/ }).fill('8');
await plan.getByLabel('Global codec').selectOption('int8');
await plan.waitForResponse('**/page/plan');
await plan.mouse.click(5, 5);
await plan.waitForTimeout(500);
await shoot(plan, 'plan');

for (const end of ends.reverse()) await end();
