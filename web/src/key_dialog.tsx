import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { apiKey, keyIsWanted, useKey } from "./api";
import { useModal } from "./modal";
import { Button } from "./button";

/** Asks for the API key where the server wants one. */
export function KeyDialog(): JSX.Element {
  const typed = useSignal("");
  const dialog = useModal(keyIsWanted.value);

  function submit(event: SubmitEvent): void {
    event.preventDefault();
    const key = typed.value.trim();
    if (!key) return;
    typed.value = "";
    useKey(key);
  }

  return (
    <dialog ref={dialog} class="key" aria-labelledby="key-title" onClose={() => (keyIsWanted.value = false)}>
      <form onSubmit={submit}>
        <h2 id="key-title">{apiKey.value ? "This API key isn't valid" : "Enter your API key"}</h2>
        <p>It is kept only in this tab, until you close it. The operator of this Fillrate can give you one.</p>
        <label for="key">API key</label>
        <input
          id="key"
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={typed.value}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
        <div class="dialog-end">
          <Button class="secondary" onClick={() => dialog.current?.close()}>
            Not now
          </Button>
          <button type="submit" class="primary">
            Use this key
          </button>
        </div>
      </form>
    </dialog>
  );
}
