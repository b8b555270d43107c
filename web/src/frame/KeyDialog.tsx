import { useEffect, useRef } from 'preact/hooks';
import { keyWanted, useKey } from '../server/ask';
import { learn } from '../server/info';

// Asks for an API key while the server wants one. It stays in this tab's session storage.
export function KeyDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const wanted = keyWanted.value !== '';
  useEffect(() => {
    if (wanted) dialog.current?.showModal();
    else dialog.current?.close();
  }, [wanted]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget as HTMLFormElement).get('key');
    useKey(String(key).trim());
    if (!keyWanted.value) learn();
  };
  return (
    <dialog ref={dialog} class="key" aria-labelledby="key-title" onCancel={(event) => event.preventDefault()}>
      <form onSubmit={submit}>
        <h2 id="key-title">This server is locked</h2>
        <p>{keyWanted} Its API key is kept until this tab is closed.</p>
        <input name="key" type="password" aria-label="API key" autocomplete="current-password" required autofocus />
        <button class="main" type="submit">
          Continue
        </button>
      </form>
    </dialog>
  );
}
