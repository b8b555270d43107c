// A server of several models: a conversation's settings choose one, and the other views follow.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browse, open, serve } from './browser.mjs';

async function say(page, text) {
  await page.getByLabel('Message').fill(text);
  await page.getByLabel('Message').press('Enter');
  await page.getByRole('button', { name: 'Send', exact: true }).waitFor();
}

test('a conversation chooses its model, and the other views follow', async (t) => {
  const args = ['-m', 'gemma3-270m', '--memory', '2GiB', '-c', '2048', '--sequences', '2'];
  const [origin, browser] = await Promise.all([serve(t, 'smollm2-135m-instruct', { args }), browse(t)]);
  const page = await open(t, browser, origin);
  await page.getByRole('button', { name: 'Settings' }).click();
  const choice = page.getByLabel('Model');
  assert.deepEqual(await choice.locator('option').allInnerTexts(), ['smollm2-135m-instruct', 'gemma3-270m']);
  await choice.selectOption('gemma3-270m');
  await page.getByLabel('Longest answer').fill('12');
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: 'Cache' }).click();
  await page.getByText('gemma3-270m is not loaded').waitFor();
  await page.getByRole('link', { name: 'Chat' }).click();
  await say(page, 'The sea at night is');
  assert.match(await page.locator('.assistant .said').innerText(), /\w/);
  await page.getByRole('link', { name: 'Cache' }).click();
  await page.locator('article.strip').first().waitFor();
  assert.match(await page.locator('.cache-view').innerText(), /global/);
  if (process.env.FOVEA_PICTURES) await page.screenshot({ path: `${process.env.FOVEA_PICTURES}/models-cache.png` });
  await page.getByRole('link', { name: 'Plan' }).click();
  assert.equal(await page.getByLabel('Model').inputValue(), 'gemma3-270m');
  await page.getByRole('link', { name: 'Load' }).click();
  await page.getByText('tokens/s generated').waitFor();
  if (process.env.FOVEA_PICTURES) await page.screenshot({ path: `${process.env.FOVEA_PICTURES}/models-load.png` });
  const listed = await fetch(`${origin}/api/ps`).then((reply) => reply.json());
  assert.deepEqual(listed.models.map(({ name }) => name), ['gemma3-270m']); // the other one was never asked for
});
