import { chosen } from '../chat/chosen';

export function NotLoaded({ title }: { title: string }) {
  return (
    <div class="view">
      <h1>{title}</h1>
      <p>{chosen.value.model} is not loaded: the next message to it loads it.</p>
    </div>
  );
}
