import { useSignal } from '@preact/signals';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { Icon } from '../frame/icons';
import { count } from '../frame/quantity';
import { answer, live, liveIn, say, stop } from './answer';
import { type Conversation, siblingsOf, type Turn, withChosen } from './conversation';
import { htmlOf } from './markdown';
import { reuseText } from './reasons';
import { save } from './store';
import { fitHeight } from './textArea';

interface Props {
  conversation: Conversation;
  turn: Turn;
}

function Siblings({ conversation, turn }: Props) {
  const siblings = siblingsOf(conversation, turn);
  if (siblings.length < 2) return null;
  const at = siblings.indexOf(turn);
  const step = (by: number) => () => save(withChosen(conversation, siblings[at + by]!));
  const kind = turn.role === 'user' ? 'Version' : 'Answer';
  return (
    <span class="siblings" role="group" aria-label={`${kind} ${at + 1} of ${siblings.length}`}>
      <button class="quiet" type="button" aria-label={`Previous ${kind.toLowerCase()}`} disabled={at === 0} onClick={step(-1)}>
        <Icon name="before" />
      </button>
      <span aria-hidden="true">
        {at + 1}/{siblings.length}
      </span>
      <button class="quiet" type="button" aria-label={`Next ${kind.toLowerCase()}`} disabled={at === siblings.length - 1} onClick={step(1)}>
        <Icon name="after" />
      </button>
    </span>
  );
}

function Editor({ conversation, turn, done }: Props & { done: () => void }) {
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => { // before anybody can type
    const { current } = area;
    if (!current) return;
    fitHeight(current);
    current.focus();
    current.setSelectionRange(current.value.length, current.value.length);
  }, []);
  const send = () => {
    const text = area.current?.value.trim();
    if (!text) return;
    const growing = liveIn(conversation);
    if (growing) stop(growing);
    say(conversation, turn.parent, text); // shows the new turn instead of this one
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') done();
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <div class="editor">
      <textarea ref={area} aria-label="Edit the message" defaultValue={turn.text} onInput={(e) => fitHeight(e.currentTarget)} onKeyDown={onKeyDown} />
      <div class="row">
        <button type="button" onClick={done}>
          Cancel
        </button>
        <button type="button" class="main" onClick={send}>
          Send as a branch
        </button>
      </div>
    </div>
  );
}

function CopyButton({ text }: { text: string }) {
  const copied = useSignal(false);
  if (!navigator.clipboard) return null; // neither localhost nor TLS
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    copied.value = true;
    setTimeout(() => (copied.value = false), 1500);
  };
  return (
    <button class="quiet" type="button" onClick={copy} aria-label={copied.value ? 'Copied' : 'Copy'} title="Copy">
      <Icon name={copied.value ? 'done' : 'copy'} />
    </button>
  );
}

export function UserTurn({ conversation, turn }: Props) {
  const editing = useSignal(false);
  if (editing.value) return <Editor conversation={conversation} turn={turn} done={() => (editing.value = false)} />;
  return (
    <article class="turn user" aria-label="You">
      <div class="said">{turn.text}</div>
      <div class="tools">
        <Siblings conversation={conversation} turn={turn} />
        <CopyButton text={turn.text} />
        <button class="quiet" type="button" onClick={() => (editing.value = true)} aria-label="Edit" title="Edit, as a branch">
          <Icon name="edit" />
        </button>
      </div>
    </article>
  );
}

const outcomes = { stop: '', length: 'cut off at its longest', stopped: 'stopped', failed: '' };

function Note({ turn }: { turn: Turn }) {
  const { usage, reuse, outcome } = turn;
  const parts: string[] = [];
  if (reuse) parts.push(reuseText(reuse));
  else if (usage) parts.push(`reused ${count(usage.cachedTokens)} of ${count(usage.promptTokens)} prompt tokens`);
  if (usage) parts.push(`${count(usage.generatedTokens)} tokens`);
  if (usage && usage.seconds > 0 && usage.generatedTokens > 1) parts.push(`${(usage.generatedTokens / usage.seconds).toFixed(0)} t/s`);
  if (outcome && outcomes[outcome]) parts.push(outcomes[outcome]);
  const share = reuse && reuse.of > 0 ? reuse.reused / reuse.of : 0;
  return (
    <p class="note">
      {reuse && (
        <svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
          <rect class="rest" width="100" height="8" />
          <rect class="hit" width={100 * share} height="8" />
        </svg>
      )}
      <span>{parts.join(' · ')}</span>
    </p>
  );
}

export function AssistantTurn({ conversation, turn }: Props) {
  const growing = live.value[turn.id];
  const text = growing ? growing.text : turn.text;
  const html = useMemo(() => htmlOf(text), [text]);
  const again = () => answer(conversation, conversation.turns[turn.parent]!);
  return (
    <article class="turn assistant" aria-label="Answer" aria-busy={growing !== undefined}>
      {text === '' && growing ? <p class="waiting" role="status">Reading…</p> : <div class="said" dangerouslySetInnerHTML={{ __html: html }} />}
      {turn.error && (
        <p class="trouble" role="alert">
          {turn.error}
        </p>
      )}
      <Note turn={growing ? { ...turn, ...(growing.reuse ? { reuse: growing.reuse } : {}) } : turn} />
      {!growing && (
        <div class="tools">
          <Siblings conversation={conversation} turn={turn} />
          <CopyButton text={text} />
          <button class="quiet" type="button" onClick={again} disabled={liveIn(conversation) !== undefined} aria-label="Answer again" title="Answer again">
            <Icon name="again" />
          </button>
        </div>
      )}
    </article>
  );
}
