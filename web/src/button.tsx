import type { ComponentProps, JSX } from "preact";

/** A button that sends no form. */
export function Button(props: ComponentProps<"button">): JSX.Element {
  return <button type="button" {...props} />;
}
