import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A dialog's ref: it is open over the page while `isOpen`; `onOpen` is called before it shows. */
export function useModal(isOpen: boolean, onOpen?: () => void): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isOpen === dialog.current?.open) return;
    if (!isOpen) return dialog.current?.close();
    onOpen?.();
    dialog.current?.showModal();
  }, [isOpen]);
  return dialog;
}
