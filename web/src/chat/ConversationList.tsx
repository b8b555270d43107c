import { Icon } from '../frame/icons';
import { live, stop } from './answer';
import { newestFirst, remove, show, showNew, shown } from './store';

export function ConversationList({ picked }: { picked: () => void }) {
  const pick = (id: string) => () => {
    show(id);
    picked();
  };
  const begin = () => {
    showNew();
    picked();
  };
  const drop = (id: string) => () => {
    for (const [turn, one] of Object.entries(live.value)) {
      if (one.conversation === id) stop(turn);
    }
    remove(id);
  };
  return (
    <nav class="conversations" aria-label="Conversations">
      <button type="button" class="new" onClick={begin}>
        <Icon name="add" /> New conversation
      </button>
      <ul>
        {newestFirst.value.map(({ id, title }) => (
          <li key={id}>
            <button type="button" class="pick" aria-current={id === shown.value.id ? 'true' : undefined} onClick={pick(id)}>
              {title}
            </button>
            <button type="button" class="quiet" aria-label={`Delete "${title}"`} title="Delete" onClick={drop(id)}>
              <Icon name="remove" />
            </button>
          </li>
        ))}
      </ul>
      <p class="small">Kept in this browser only.</p>
    </nav>
  );
}
