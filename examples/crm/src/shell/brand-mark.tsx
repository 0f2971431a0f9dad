import type { ReactNode } from 'react';

/** The firm's sign: a globe with its meridian. */
export function BrandMark({ size = 30 }: { readonly size?: number }): ReactNode {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#0b6b78" />
      <g fill="none" stroke="#fff" strokeWidth="2">
        <circle cx="16" cy="16" r="9" />
        <ellipse cx="16" cy="16" rx="3.6" ry="9" />
        <path d="M7 16h18" />
      </g>
    </svg>
  );
}
