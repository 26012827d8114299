import bcrypt from 'bcrypt';
import compression from 'compression';
import express, { type NextFunction, type Request, type Response } from 'express';
import rateLimit from 'express-rate-limit';
import jwt from 'jsonwebtoken';
import mongoose from 'mongoose';
import { createClient } from 'redis';
import {
  BCRYPT_COST,
  CACHE_SECONDS,
  newUser,
  peerSettings,
  type UserDocument,
  view,
} from './settings';

// (b) The usual tutorial's design: library middleware on every route, the secret as a string, and
// on each request a Redis GET, JSON.parse and res.json.
const settings = peerSettings();
const redis = createClient({ url: settings.redisUrl });
const User = mongoose.model<UserDocument>(
  'User',
  new mongoose.Schema<UserDocument>(
    {
      name: String,
      nameKey: String,
      email: String,
      emailKey: { type: String, unique: true },
      emailVerified: Boolean,
      role: String,
      status: String,
      passwordHash: String,
      rev: Number,
      sessionVersion: Number,
      revokedSessions: [],
    },
    { timestamps: true, autoIndex: false, versionKey: false },
  ),
);

type Authenticated = Request & { user?: { sub: string; role: string } };

function authenticate(req: Authenticated, res: Response, next: NextFunction): void {
  try {
    req.user = jwt.verify(req.headers.authorization?.split(' ')[1] ?? '', settings.jwtSecret) as {
      sub: string;
      role: string;
    };
    next();
  } catch {
    res.status(401).json({ error: 'Unauthorized' });
  }
}

async function cachedUser(id: string): Promise<unknown> {
  const cached = await redis.get(`seed:user:${id}`);
  if (cached !== null) return JSON.parse(cached);
  const user = await User.findById(id).lean();
  if (user === null) return null;
  const shown = view(id, user);
  await redis.setEx(`seed:user:${id}`, CACHE_SECONDS, JSON.stringify(shown));
  return shown;
}

async function sendUser(id: string, res: Response): Promise<void> {
  const user = await cachedUser(id);
  if (user === null) res.status(404).json({ error: 'Not found' });
  else res.json(user);
}

const app = express();
app.use(express.json());
app.use(compression());
app.use(rateLimit({ windowMs: 60_000, limit: 100_000_000 }));

app.get('/api/auth/profile', authenticate, async (req: Authenticated, res) =>
  sendUser(req.user?.sub ?? '', res),
);

app.get('/api/users/:id', authenticate, async (req: Authenticated, res) => {
  const id = String(req.params['id']);
  if (req.user?.sub === id || req.user?.role === 'admin') await sendUser(id, res);
  else res.status(403).json({ error: 'Forbidden' });
});

app.get('/api/users', authenticate, async (req, res) => {
  const page = Number(req.query['page'] ?? 1);
  const limit = Number(req.query['limit'] ?? 20);
  const users = await User.find()
    .sort({ createdAt: -1 })
    .skip((page - 1) * limit)
    .limit(limit)
    .lean();
  res.json({ data: users.map((user) => view(String(user._id), user)) });
});

app.patch('/api/users/:id', authenticate, async (req, res) => {
  const id = String(req.params['id']);
  const user = await User.findByIdAndUpdate(
    id,
    { name: String(req.body.name) },
    { returnDocument: 'after' },
  ).lean();
  await redis.del(`seed:user:${id}`);
  if (user === null) res.status(404).json({ error: 'Not found' });
  else res.json(view(id, user));
});

app.post('/api/auth/login', async (req, res) => {
  const user = await User.findOne({ emailKey: String(req.body.email).toLowerCase() }).lean();
  if (user === null || !(await bcrypt.compare(String(req.body.password), user.passwordHash))) {
    res.status(401).json({ error: 'Invalid credentials' });
    return;
  }
  const access_token = jwt.sign({ sub: String(user._id), role: user.role }, settings.jwtSecret, {
    expiresIn: '15m',
  });
  res.json({ user: view(String(user._id), user), access_token });
});

app.post('/api/auth/register', async (req, res) => {
  const { name, email, password } = req.body;
  const passwordHash = await bcrypt.hash(String(password), BCRYPT_COST);
  const user = await User.create(
    newUser({
      name: String(name),
      email: String(email),
      role: 'user',
      passwordHash,
      at: new Date(),
    }),
  );
  res.status(201).json(view(user.id, user));
});

Promise.all([mongoose.connect(settings.mongodbUri, { autoIndex: false }), redis.connect()]).then(
  () => app.listen(settings.port, '127.0.0.1'),
);
