/** Light, dark, or as the system has it. */

import { computed, effect, signal } from "@preact/signals";

export type Choice = "auto" | "light" | "dark";

const KEY = "fillrate.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(system.matches);

function stored(): Choice {
  const choice = localStorage.getItem(KEY);
  return choice === "light" || choice === "dark" ? choice : "auto";
}

export const themeChoice = signal<Choice>(stored());
export const theme = computed(() =>
  themeChoice.value === "auto" ? (systemIsDark.value ? "dark" : "light") : themeChoice.value,
);

export function keepTheme(): void {
  system.addEventListener("change", ({ matches }) => (systemIsDark.value = matches));
  effect(() => {
    document.documentElement.dataset["theme"] = theme.value;
    if (themeChoice.value === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, themeChoice.value);
  });
}
