import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from '../frame/icons';
import { chosen } from './chosen';
import { Composer } from './Composer';
import { ConversationList } from './ConversationList';
import { type Conversation, pathOf } from './conversation';
import { SettingsPanel } from './SettingsPanel';
import { shown, storageTrouble } from './store';
import { AssistantTurn, UserTurn } from './TurnView';

const nearEnd = 80; // pixels: whoever is closer wants to see what comes

function Empty() {
  const { chat, model, context_tokens } = chosen.value;
  return (
    <div class="empty">
      <h1>{model}</h1>
      <p>
        {chat ? 'A conversation' : 'This model continues texts: it has no chat template'}, up to {context_tokens.toLocaleString('en')} tokens long.
        What is sent stays on this server; what is kept of it stays in this browser.
      </p>
    </div>
  );
}

function Transcript({ conversation }: { conversation: Conversation }) {
  const log = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const path = pathOf(conversation);
  const content = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(() => {
      if (follows.current) log.current!.scrollTop = log.current!.scrollHeight;
    });
    watch.observe(content.current!);
    return () => watch.disconnect();
  }, []);
  useLayoutEffect(() => {
    follows.current = true;
    log.current!.scrollTop = log.current!.scrollHeight;
  }, [path.length, conversation.id]);
  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = log.current!;
    follows.current = scrollHeight - scrollTop - clientHeight < nearEnd;
  };
  return (
    <div class="transcript" ref={log} onScroll={onScroll} role="log" aria-label="Conversation" tabIndex={0}>
      <div ref={content}>
        {path.length === 0 && <Empty />}
        {path.map((turn) => {
          const View = turn.role === 'user' ? UserTurn : AssistantTurn;
          return <View key={turn.id} conversation={conversation} turn={turn} />;
        })}
      </div>
    </div>
  );
}

export function ChatView() {
  const open = useSignal<'' | 'list' | 'settings'>('');
  const toggle = (side: 'list' | 'settings') => () => (open.value = open.value === side ? '' : side);
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === 'Escape') open.value = '';
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);
  return (
    <div class="chat-view" data-open={open.value}>
      <ConversationList picked={() => (open.value = '')} />
      <div class="middle">
        <div class="bar">
          <button class="quiet list-button" type="button" aria-expanded={open.value === 'list'} onClick={toggle('list')} aria-label="Conversations">
            <Icon name="list" />
          </button>
          <span class="title">{shown.value.title}</span>
          <button class="quiet" type="button" aria-expanded={open.value === 'settings'} onClick={toggle('settings')} aria-label="Settings" title="Settings">
            <Icon name="settings" />
          </button>
        </div>
        <Transcript conversation={shown.value} />
        {storageTrouble.value && (
          <p class="trouble banner" role="alert">
            {storageTrouble}
          </p>
        )}
        <Composer />
      </div>
      <SettingsPanel />
    </div>
  );
}
