/** Links to the page of the account, by purpose. */
export function createMailLinks(base: string) {
  function withSecret(purpose: string, secret: string): string {
    const link = new URL(base);
    link.searchParams.set('purpose', purpose);
    // In the fragment, the secret stays out of access logs and Referer headers.
    link.hash = secret;
    return link.toString();
  }

  /** Where the owner asks for a mail to set a new password. */
  function forgotPassword(): string {
    const link = new URL(base);
    link.searchParams.set('purpose', 'forgot-password');
    return link.toString();
  }

  return { site: new URL(base).host, withSecret, forgotPassword };
}
