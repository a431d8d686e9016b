import type { JSX } from "preact";
import type { Status } from "./wire";

function Icon({ children, size = 16 }: { children: JSX.Element | JSX.Element[]; size?: number }): JSX.Element {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      width={size}
      height={size}
      aria-hidden
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      {children}
    </svg>
  );
}

export const SwapIcon = (): JSX.Element => (
  <Icon>
    <path d="M5 2.5v11M5 13.5 2.5 11M5 13.5 7.5 11M11 13.5v-11M11 2.5 8.5 5M11 2.5 13.5 5" />
  </Icon>
);
export const CopyIcon = (): JSX.Element => (
  <Icon size={14}>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path d="M10.5 3.5v-1h-8v8h1" />
  </Icon>
);
export const CheckIcon = (): JSX.Element => (
  <Icon size={14}>
    <path d="m3 8.5 3.200 3.200L13 4.5" />
  </Icon>
);
export const CloseIcon = (): JSX.Element => (
  <Icon>
    <path d="m4 4 8 8M12 4l-8 8" />
  </Icon>
);

/** A path, and around it a ring of so many pixels, dashed or whole. */
type Sign = [path: string, ring?: number, dashes?: string];

const SIGNS: Record<Status | "retrying", Sign> = {
  retrying: ["M13 8a5 5 0 1 1-1.5-3.600M13 2v3h-3"],
  open: ["M9.500 8a1.500 1.500 0 1 1-3 0 1.500 1.500 0 0 1 3 0", 6],
  pending: ["", 5.5, "2.5 2.5"],
  routing: ["M2.5 8h3c3 0 2-4.5 5-4.5h3M5.5 8c3 0 2 4.5 5 4.5h3"],
  building: ["M2.5 5.5 8 2.5l5.5 3v5L8 13.5l-5.5-3zM2.5 5.5 8 8.5l5.5-3M8 8.5v5"],
  submitted: ["M13.5 2.5 2.5 7l4.5 2 2 4.5z"],
  confirmed: ["m5.5 8.200 1.800 1.800 3.200-3.700", 6],
  failed: ["m6 6 4 4M10 6l-4 4", 6],
  cancelled: ["M4 12 12 4", 6],
  expired: ["M4 2.5h8M4 13.5h8M5 2.5c0 3 6 8 6 11M11 2.5c0 3-6 8-6 11"],
};

/** A sign for each status, different in shape as well as in colour. */
export function StatusIcon({ status, retrying }: { status: Status; retrying: boolean }): JSX.Element {
  const [path, ring, dashes] = SIGNS[retrying ? "retrying" : status];
  return (
    <Icon size={14}>
      <path d={path} />
      <circle cx="8" cy="8" r={ring} stroke-dasharray={dashes} />
    </Icon>
  );
}

export function VerifiedIcon(): JSX.Element {
  return (
    <Icon size={13}>
      <path d="m8 1.500 1.700 1.300 2.200-.1.700 2 1.800 1.200-.7 2.100.7 2.100-1.800 1.200-.7 2-2.200-.1L8 14.500l-1.700-1.300-2.200.1-.7-2-1.800-1.200.7-2.100-.7-2.100 1.800-1.200.7-2 2.200.1z" />
      <path d="m5.700 8.100 1.600 1.600 3-3.300" />
    </Icon>
  );
}

export function WarningIcon(): JSX.Element {
  return (
    <Icon size={13}>
      <path d="M8 2 14.500 13.500h-13zM8 6.500v3.300M8 11.600v.2" />
    </Icon>
  );
}

/** From one token to the other, as it is seen and as it is read out. */
export const To = (): JSX.Element => (
  <>
    <span aria-hidden>→</span>
    <span class="unseen">to</span>
  </>
);
