import { CacheView } from '../cache/CacheView';
import { ChatView } from '../chat/ChatView';
import { chosen } from '../chat/chosen';
import { LoadView } from '../load/LoadView';
import { PlanView } from '../plan/PlanView';
import { info, learn, unreachable } from '../server/info';
import { Icon } from './icons';
import { KeyDialog } from './KeyDialog';
import { nextTheme, theme } from './theme';
import { type View, view, views } from './view';

const titles: Record<View, string> = { chat: 'Chat', cache: 'Cache', plan: 'Plan', load: 'Load' };
const shownBy = { chat: ChatView, cache: CacheView, plan: PlanView, load: LoadView };

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <circle class="far" cx="16" cy="16" r="14" />
      <circle class="near" cx="16" cy="16" r="8.5" />
      <circle class="spot" cx="16" cy="16" r="4" />
    </svg>
  );
}

function Head() {
  return (
    <header class="head">
      <a class="brand" href="#chat" aria-label="Fovea">
        <Mark />
        <span>Fovea</span>
      </a>
      <nav aria-label="Views">
        {views.map((name) => (
          <a key={name} href={`#${name}`} aria-current={view.value === name ? 'page' : undefined}>
            {titles[name]}
          </a>
        ))}
      </nav>
      <span class="model" title={info.value ? chosen.value.name : undefined}>
        {info.value && chosen.value.model}
      </span>
      <button class="quiet" type="button" onClick={nextTheme} aria-label={`Colours: ${theme.value}`} title={`Colours: ${theme.value}`}>
        <Icon name={theme.value} />
      </button>
    </header>
  );
}

export function Frame() {
  const Shown = shownBy[view.value];
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById('main')?.focus())}>
        Skip to content
      </a>
      <Head />
      {unreachable.value && (
        <p class="trouble banner" role="alert">
          {unreachable} <button onClick={learn}>Try again</button>
        </p>
      )}
      <main id="main" tabIndex={-1} class={view.value}>
        {info.value && <Shown />}
      </main>
      <KeyDialog />
    </>
  );
}
