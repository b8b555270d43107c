// Conversations, kept in this browser.
import { computed, signal } from '@preact/signals';
import { type Conversation, newConversation } from './conversation';

const prefix = 'fovea.conversation.';
const shownPlace = 'fovea.shown';

function readAll(): Record<string, Conversation> {
  const all: Record<string, Conversation> = {};
  for (let i = 0; i < localStorage.length; ++i) {
    const place = localStorage.key(i)!;
    if (!place.startsWith(prefix)) continue;
    try {
      const conversation = JSON.parse(localStorage.getItem(place)!) as Conversation;
      if (conversation.id && conversation.turns && conversation.chosen && conversation.settings) all[conversation.id] = conversation;
    } catch {
      // written by something else: not ours to show, nor to delete
    }
  }
  return all;
}

export const conversations = signal<Record<string, Conversation>>(readAll());
export const newestFirst = computed(() => Object.values(conversations.value).sort((a, b) => b.changed - a.changed));
export const storageTrouble = signal('');

const draft = signal(newConversation()); // becomes a conversation with its first turn
const shownId = signal(localStorage.getItem(shownPlace) ?? '');

export const shown = computed(() => conversations.value[shownId.value] ?? draft.value);

export function show(id: string) {
  shownId.value = id;
  try {
    localStorage.setItem(shownPlace, id);
  } catch {
    // no room left: another one is shown after a reload
  }
}

export function showNew() {
  if (shown.value !== draft.value) draft.value = newConversation(shown.value.settings);
  show('');
}

export function save(conversation: Conversation) {
  if (conversation.id === draft.value.id && Object.keys(conversation.turns).length === 0) {
    draft.value = conversation;
    return;
  }
  conversations.value = { ...conversations.value, [conversation.id]: conversation };
  if (shown.value.id === conversation.id || draft.value.id === conversation.id) show(conversation.id);
  if (draft.value.id === conversation.id) draft.value = newConversation(conversation.settings);
  try {
    localStorage.setItem(prefix + conversation.id, JSON.stringify(conversation));
    storageTrouble.value = '';
  } catch {
    storageTrouble.value = 'The browser has no room left for this conversation: delete others to keep it.';
  }
}

export function remove(id: string) {
  const { [id]: _, ...rest } = conversations.value;
  conversations.value = rest;
  localStorage.removeItem(prefix + id);
  if (shownId.value === id) showNew();
  else if (storageTrouble.value && conversations.value[shown.value.id]) save(shown.value); // there may be room now
}

// Another tab wrote.
addEventListener('storage', (event) => {
  if (event.key === null || event.key.startsWith(prefix)) conversations.value = readAll();
});
