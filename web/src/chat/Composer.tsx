import { useEffect, useRef } from 'preact/hooks';
import { Icon } from '../frame/icons';
import { liveIn, sayNext, stop } from './answer';
import { chosen } from './chosen';
import { pathOf } from './conversation';
import { shown } from './store';
import { fitHeight } from './textArea';

export function Composer() {
  const area = useRef<HTMLTextAreaElement>(null);
  const growing = liveIn(shown.value);
  useEffect(() => area.current?.focus(), [shown.value.id]);
  const send = () => {
    const { current } = area;
    const text = chosen.value.chat ? current!.value.trim() : current!.value;
    if (!text || liveIn(shown.value)) return;
    current!.value = '';
    fitHeight(current!);
    sayNext(shown.value, pathOf(shown.value), text);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && growing) stop(growing);
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form class="composer" onSubmit={(event) => (event.preventDefault(), send())}>
      <textarea
        ref={area}
        rows={1}
        aria-label="Message"
        placeholder={chosen.value.chat ? 'Say something' : 'Begin a text: the model goes on'}
        onInput={(event) => fitHeight(event.currentTarget)}
        onKeyDown={onKeyDown}
      />
      {growing ? (
        <button type="button" class="round" onClick={() => stop(growing)} aria-label="Stop" title="Stop (Esc)">
          <Icon name="stop" />
        </button>
      ) : (
        <button type="submit" class="round main" aria-label="Send" title="Send (Enter)">
          <Icon name="send" />
        </button>
      )}
    </form>
  );
}
