import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './system';

/**
 * For each distribution, a release with a new enough C library, and the keyring that verifies it.
 */
const NEWER_RELEASES: Readonly<Record<string, { suite: string; keyring: string }>> = {
  debian: { suite: 'trixie', keyring: '/usr/share/keyrings/debian-archive-keyring.gpg' },
  ubuntu: { suite: 'noble', keyring: '/usr/share/keyrings/ubuntu-archive-keyring.gpg' },
};

/**
 * Downloads libc6 of a newer release with apt, its signatures checked, and unpacks it below `work`.
 * apt uses its own folders for all files, so it needs no root and does not change the system's
 * packages. Resolves with the folder of the libraries.
 */
export async function fetchLibc(work: string, triplet: string, timeoutMs: number): Promise<string> {
  const release = NEWER_RELEASES[distribution()];
  if (release === undefined)
    throw new Error('only on Debian and Ubuntu can a newer C library be fetched');
  if (!existsSync(release.keyring)) throw new Error(`${release.keyring} is missing`);
  for (const folder of ['lists/partial', 'cache/archives/partial', 'empty', 'unpacked'])
    mkdirSync(path.join(work, folder), { recursive: true });
  writeFileSync(path.join(work, 'status'), '');
  const mirror = await systemMirror();
  writeFileSync(
    path.join(work, 'sources.list'),
    `deb [signed-by=${release.keyring}] ${mirror} ${release.suite} main\n`,
  );
  writeFileSync(path.join(work, 'apt.conf'), aptConfig(work));
  const apt = (...args: string[]) =>
    run('apt-get', ['-q', '-c', path.join(work, 'apt.conf'), ...args], { timeoutMs, cwd: work });
  await apt('update');
  await apt('download', 'libc6');
  const archive = readdirSync(work).find(
    (name) => name.startsWith('libc6_') && name.endsWith('.deb'),
  );
  if (archive === undefined) throw new Error('apt downloaded no libc6');
  const unpacked = path.join(work, 'unpacked');
  await run('dpkg-deb', ['-x', path.join(work, archive), unpacked], { timeoutMs });
  const libraries = [`usr/lib/${triplet}`, `lib/${triplet}`]
    .map((name) => path.join(unpacked, name))
    .find((folder) => existsSync(folder));
  if (libraries === undefined) throw new Error(`${archive} holds no libraries for ${triplet}`);
  rmSync(path.join(libraries, 'gconv'), { recursive: true, force: true });
  return libraries;
}

function distribution(): string {
  try {
    return /^ID="?([a-z]+)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

/**
 * The mirror in this machine's own sources: it is reachable from here.
 */
async function systemMirror(): Promise<string> {
  const codename = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(
    readFileSync('/etc/os-release', 'utf8'),
  )?.[1];
  const targets = await run(
    'apt-get',
    ['indextargets', '--format', '$(RELEASE) $(REPO_URI)', 'Created-By: Packages'],
    {
      timeoutMs: 10_000,
    },
  );
  const found = targets.split('\n').find((line) => line.startsWith(`${codename} http`));
  const mirror = found?.split(' ')[1];
  if (mirror === undefined)
    throw new Error("the system's apt sources name no mirror for its own release");
  return mirror;
}

/** Clears apt's hooks: those of container images delete files of the system's cache. */
function aptConfig(work: string): string {
  return `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages { MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; flatMetaKey "Packages"; ShortDescription "Packages"; Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages"; Optional "0"; };
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
APT::Sandbox::User "root";
Dir::State "${work}";
Dir::State::lists "${work}/lists";
Dir::State::status "${work}/status";
Dir::Cache "${work}/cache";
Dir::Etc::sourcelist "${work}/sources.list";
Dir::Etc::sourceparts "${work}/empty";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "${work}/empty";
`;
}
