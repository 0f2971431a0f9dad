import type { AuditExport } from '../../ports/audit-source.ts';

/** How long the browser may take to begin reading, in milliseconds. */
const READ_MS = 60_000;

/** Saves it where the browser saves downloads. */
export function saveFile({ fileName, content }: AuditExport): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), READ_MS);
}
