import { createServer } from 'node:http';
import express from 'express';
import { createPolicy } from '../../../src/kernel/permissions';
import { createAdminPage } from '../../../src/modules/admin-page';
import { startTestService } from '../../support/app';
import { withServer } from '../../support/with-server';

const PATHS = ['/admin', '/admin/assets/admin.js', '/admin/assets/settings.json'];

test('ADMIN_PAGE=off: there is no such page', async () => {
  const service = await startTestService({ ADMIN_PAGE: 'off' });
  try {
    for (const path of PATHS) expect((await fetch(`${service.baseUrl}${path}`)).status).toBe(404);
  } finally {
    await service.close();
  }
}, 60_000);

test('auto: not in production', async () => {
  const features = { passkeyOrigins: [], emailSignIn: false, mail: false };
  const common = { policy: createPolicy(), auditTypes: ['login'], features };
  const statusOf = (setting: 'auto' | 'on', environment: 'development' | 'production') => {
    const app = express().use((req, _res, next) => {
      Object.assign(req, { context: {} });
      next();
    });
    app.use(createAdminPage({ ...common, setting, environment }).pages);
    return withServer(createServer(app), async (port) => {
      const answer = await fetch(`http://127.0.0.1:${port}/admin`);
      return answer.status;
    });
  };
  expect(await statusOf('auto', 'development')).toBe(200);
  expect(await statusOf('auto', 'production')).toBe(404);
  expect(await statusOf('on', 'production')).toBe(200);
});

test('its policy allows only its own files, no inline code and no code from strings', async () => {
  const service = await startTestService();
  try {
    const page = await fetch(`${service.baseUrl}/admin`);
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none';.*script-src 'self'.*trusted-types 'none'$/);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(await page.text()).not.toMatch(
      /<script(?! type="module" src="admin\/assets)|<style|\son\w+=/,
    );
    for (const path of PATHS) {
      const answer = await fetch(`${service.baseUrl}${path}`);
      expect([path, answer.headers.get('cache-control')]).toEqual([path, 'no-cache']);
      const text = await answer.text();
      if (!path.endsWith('.json')) expect(text).not.toMatch(/https?:\/\//);
    }
  } finally {
    await service.close();
  }
}, 60_000);
