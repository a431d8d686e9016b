import type { JSX } from "preact";

/** A comma that is typed is a decimal point, which some phones' keyboards lack. One that is pasted may be anything. */
function pointForComma(event: InputEvent & { currentTarget: HTMLInputElement }): void {
  if (event.data !== ",") return;
  event.preventDefault();
  event.currentTarget.setRangeText(
    ".",
    event.currentTarget.selectionStart ?? 0,
    event.currentTarget.selectionEnd ?? 0,
    "end",
  );
  event.currentTarget.dispatchEvent(new Event("input", { bubbles: true }));
}

export interface NumberFieldProps {
  id: string;
  value: string;
  onValue: (text: string) => void;
  onBlur?: () => void;
  error?: string | undefined;
  class?: string;
  placeholder?: string;
  /** The id of what explains the field. */
  describedBy?: string;
}

/** A field for a decimal; `FieldError` says what is wrong with it. */
export function NumberField({
  id,
  value,
  onValue,
  onBlur,
  error,
  describedBy,
  ...more
}: NumberFieldProps): JSX.Element {
  return (
    <input
      {...more}
      id={id}
      inputMode="decimal"
      autocomplete="off"
      spellcheck={false}
      value={value}
      aria-invalid={error !== undefined}
      aria-describedby={[describedBy, error && `error-${id}`].filter(Boolean).join(" ") || undefined}
      onBeforeInput={pointForComma}
      onInput={(event) => onValue(event.currentTarget.value)}
      // what is said of the field would move the button away from under its click
      onBlur={(event) => event.relatedTarget instanceof HTMLButtonElement || onBlur?.()}
    />
  );
}

export function FieldError({ of, text }: { of: string; text?: string | undefined }): JSX.Element | null {
  return text === undefined ? null : (
    <p class="field-error" id={`error-${of}`}>
      {text}
    </p>
  );
}
