import { cpSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './balancers';

/** The manifests as an operator has them, with the secrets filled in; below `folder`. */
export function kubernetesFolder(folder: string, name = 'example'): { readonly overlay: string } {
  const copy = mkdtempSync(join(folder, 'kubernetes-'));
  cpSync(join(root, 'deploy', 'kubernetes'), copy, { recursive: true });
  const overlay = join(copy, 'overlays', name);
  cpSync(join(overlay, 'secrets.env.example'), join(overlay, 'secrets.env'));
  return { overlay };
}

/** The documents of a kind in what kustomize built. */
export const documentsOf = (built: string, kind: string): string[] =>
  built.split(/^---$/m).filter((text) => new RegExp(`^kind: ${kind}$`, 'm').test(text));
