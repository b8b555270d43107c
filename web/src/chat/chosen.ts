// The model of the conversation that is shown; the other views are about it too.
import { computed } from '@preact/signals';
import { info, offered } from '../server/info';
import { shown } from './store';

// REQUIRES: info is there
export const chosen = computed(() => offered(shown.value.settings.model));

// What the page's routes are to be told: which model, where there are several.
export function question() {
  return info.value!.models.length > 1 ? { model: chosen.value.model } : undefined;
}
