// Everything of one substep that comes before contacts, for one world: poses, velocities, the servo's torque, and
// Featherstone's articulated-body recursion, which factors the inertia matrix without forming it.
//
// Spatial vectors are (angular, linear) in world axes about the tree's root position. A block is a joint of at most
// three degrees of freedom; block ids grow with depth. For each block, with S its axes (6 x 3), I its articulated
// inertia, D = S' I S + armature and C C' = D, the record keeps what later solves need:
//   Y = I S C^-T (6 x 3), Z = C^-1 S' (3 x 6), C^-1, velocity (6), acceleration that the joints alone make (6).
constexpr int kBlocks = @BLOCKS@;
constexpr int kRecord = @RECORD@;
const int nq = sizes.nq, nv = sizes.nv, ngeom = sizes.ngeom, nlevel = sizes.nlevel;
SHARED float rot[kBlocks * 9];
SHARED float origin[kBlocks * 3];
SHARED float velocity[kBlocks * 6];
SHARED float bias_motion[kBlocks * 6];
SHARED float inertia[kBlocks * 21];  // [J (6), H (9), M (6)] of [[J, H], [H', M]]; later what the parent inherits
SHARED float force[kBlocks * 6];     // bias force; later what the parent inherits
SHARED float reduced[kBlocks * 3];
SHARED float motion[kBlocks * 6];

const float* q = qpos.data + (size_t)world * nq;
const float* v = qvel.data + (size_t)world * nv;
const float* goal = target.data + (size_t)world * sizes.ntarget;
float* records = record.data + (size_t)world * kBlocks * kRecord;
float* smooth = qacc_smooth.data + (size_t)world * nv;

// Axes S of a block at the columns that exist: `axis` (3) about or along, `moment` its linear part.
auto axes = [&](int b, float* angular, float* linear) {
  const int kind = tree.kind.data[b];
  for (int k = 0; k < 3; ++k) {
    float* u = angular + 3 * k;
    float* w = linear + 3 * k;
    for (int i = 0; i < 3; ++i) u[i] = w[i] = 0.0f;
    if (kind == 0) {
      w[k] = 1.0f;
    } else if (kind == 1) {
      for (int i = 0; i < 3; ++i) u[i] = rot[9 * b + 3 * i + k];
      cross3(origin + 3 * b, u, w);
    } else if (k == 0) {
      times3(rot + 9 * b, tree.axis.data + 3 * b, u);
      cross3(origin + 3 * b, u, w);
    }
  }
};

for (int level = 0; level < nlevel; ++level) {
  FOR_LANES(b, tree.level_begin.data[level], tree.level_begin.data[level + 1]) {
    const int parent = tree.parent.data[b], kind = tree.kind.data[b];
    const float* joint = q + tree.qadr.data[b];
    const float* rate = v + tree.vadr.data[b];
    float* r = rot + 9 * b;
    float* o = origin + 3 * b;
    for (int i = 0; i < 9; ++i) r[i] = (i % 4 == 0) ? 1.0f : 0.0f;
    for (int i = 0; i < 3; ++i) o[i] = 0.0f;
    float base[9];
    if (parent >= 0) {
      float shift[3];
      times3(rot + 9 * parent, tree.pos.data + 3 * b, shift);
      for (int i = 0; i < 3; ++i) o[i] = origin[3 * parent + i] + shift[i];
      float fixed[9];
      matrix_of(tree.quat.data + 4 * b, fixed);
      times33(rot + 9 * parent, fixed, base);
      if (kind == 1) {
        float turn[9];
        matrix_of(joint, turn);
        times33(base, turn, r);
      } else {
        const float* axis = tree.axis.data + 3 * b;
        const float half = 0.5f * joint[0], s = sinf(half);
        const float quat[4] = {cosf(half), s * axis[0], s * axis[1], s * axis[2]};
        float turn[9];
        matrix_of(quat, turn);
        times33(base, turn, r);
      }
    }
    float u[9], w[9], jointed[6];
    axes(b, u, w);
    for (int i = 0; i < 6; ++i) jointed[i] = 0.0f;
    for (int k = 0; k < (kind == 2 ? 1 : 3); ++k)
      for (int i = 0; i < 3; ++i) {
        jointed[i] += u[3 * k + i] * rate[k];
        jointed[3 + i] += w[3 * k + i] * rate[k];
      }
    float* vel = velocity + 6 * b;
    float* c = bias_motion + 6 * b;
    for (int i = 0; i < 6; ++i) vel[i] = jointed[i] + (parent >= 0 ? velocity[6 * parent + i] : 0.0f);
    for (int i = 0; i < 6; ++i) c[i] = 0.0f;
    if (kind != 0) {  // axes fixed in the body turn with it; those of a translation do not
      float first[3], second[3];
      cross3(vel, jointed, c);
      cross3(vel, jointed + 3, first);
      cross3(vel + 3, jointed, second);
      for (int i = 0; i < 3; ++i) c[3 + i] = first[i] + second[i];
    }
  }
  SYNC();
}

FOR_LANES(b, 0, kBlocks) {
  const float* r = rot + 9 * b;
  const float* vel = velocity + 6 * b;
  const float mass = tree.mass.data[b];
  const float* local = tree.inertia.data + 6 * b;  // about the centre of mass: xx, yy, zz, xy, xz, yz
  float com[3], turned[9], j[9], h[3];
  times3(r, tree.com.data + 3 * b, com);
  for (int i = 0; i < 3; ++i) com[i] += origin[3 * b + i], h[i] = mass * com[i];
  const float full[9] = {local[0], local[3], local[4], local[3], local[1], local[5], local[4], local[5], local[2]};
  times33(r, full, turned);
  const float across = dot3(com, com);
  for (int i = 0; i < 3; ++i)
    for (int k = 0; k < 3; ++k)
      j[3 * i + k] = turned[3 * i] * r[3 * k] + turned[3 * i + 1] * r[3 * k + 1] + turned[3 * i + 2] * r[3 * k + 2]
                     + mass * ((i == k ? across : 0.0f) - com[i] * com[k]);
  float* out = inertia + 21 * b;
  out[0] = j[0], out[1] = j[4], out[2] = j[8], out[3] = j[1], out[4] = j[2], out[5] = j[5];
  out[6] = 0.0f, out[7] = -h[2], out[8] = h[1], out[9] = h[2], out[10] = 0.0f, out[11] = -h[0];
  out[12] = -h[1], out[13] = h[0], out[14] = 0.0f;
  out[15] = out[16] = out[17] = mass, out[18] = out[19] = out[20] = 0.0f;
  float spin[3], push[3], first[3], second[3], weight[3] = {0.0f, 0.0f, 0.0f};
  times3(j, vel, spin);
  cross3(h, vel + 3, first);
  for (int i = 0; i < 3; ++i) spin[i] += first[i];
  cross3(vel, h, push);
  for (int i = 0; i < 3; ++i) push[i] += mass * vel[3 + i];
  float* f = force + 6 * b;
  cross3(vel, spin, first);
  cross3(vel + 3, push, second);
  for (int i = 0; i < 3; ++i) f[i] = first[i] + second[i], weight[i] = servos.gravity[i];
  cross3(vel, push, first);
  for (int i = 0; i < 3; ++i) f[3 + i] = first[i] - mass * weight[i];
  cross3(h, weight, second);
  for (int i = 0; i < 3; ++i) f[i] -= second[i];
}
SYNC();

for (int level = nlevel - 1; level >= 0; --level) {
  FOR_LANES(b, tree.level_begin.data[level], tree.level_begin.data[level + 1]) {
    const int kind = tree.kind.data[b];
    float a[21], f[6];
    for (int i = 0; i < 21; ++i) a[i] = inertia[21 * b + i];
    for (int i = 0; i < 6; ++i) f[i] = force[6 * b + i];
    for (int child = tree.child.data[b]; child < tree.child.data[b] + tree.children.data[b]; ++child) {
      for (int i = 0; i < 21; ++i) a[i] += inertia[21 * child + i];
      for (int i = 0; i < 6; ++i) f[i] += force[6 * child + i];
    }
    const float J[9] = {a[0], a[3], a[4], a[3], a[1], a[5], a[4], a[5], a[2]};
    const float M[9] = {a[15], a[18], a[19], a[18], a[16], a[20], a[19], a[20], a[17]};
    const float* H = a + 6;
    auto act = [&](const float* angular, const float* linear, float* out) {
      for (int i = 0; i < 3; ++i) {
        out[i] = dot3(J + 3 * i, angular) + dot3(H + 3 * i, linear);
        out[3 + i] = H[i] * angular[0] + H[3 + i] * angular[1] + H[6 + i] * angular[2] + dot3(M + 3 * i, linear);
      }
    };
    float u[9], w[9], U[18], d[6];
    axes(b, u, w);
    for (int k = 0; k < 3; ++k) act(u + 3 * k, w + 3 * k, U + 6 * k);
    int at = 0;
    for (int i = 0; i < 3; ++i)
      for (int k = 0; k <= i; ++k, ++at) {
        d[at] = dot3(u + 3 * i, U + 6 * k) + dot3(w + 3 * i, U + 6 * k + 3);
        if (i == k) d[at] += (kind == 2 && k > 0) ? 1.0f : tree.armature.data[3 * b + k];
      }
    // C^-1 of D = C C', lower triangle by rows
    float inv[6];
    const float c00 = sqrtf(d[0]), c10 = d[1] / c00, c20 = d[3] / c00;
    const float c11 = sqrtf(d[2] - c10 * c10), c21 = (d[4] - c20 * c10) / c11;
    const float c22 = sqrtf(d[5] - c20 * c20 - c21 * c21);
    inv[0] = 1.0f / c00, inv[2] = 1.0f / c11, inv[5] = 1.0f / c22;
    inv[1] = -c10 * inv[0] * inv[2], inv[4] = -c21 * inv[2] * inv[5];
    inv[3] = -(c20 * inv[0] + c21 * inv[1]) * inv[5];

    // the servo, as `pd.generalised_force`
    float torque[3] = {0.0f, 0.0f, 0.0f};
    const int servo = tree.servo.data[b];
    if (servo >= 0) {
      const float* joint = q + tree.qadr.data[b];
      const float* rate = v + tree.vadr.data[b];
      float error[3] = {0.0f, 0.0f, 0.0f};
      if (kind == 1) {
        const float sign = joint[0] < 0.0f ? -1.0f : 1.0f;
        const float s = sqrtf(joint[1] * joint[1] + joint[2] * joint[2] + joint[3] * joint[3]);
        const float scale = s < 1e-6f ? 2.0f * sign : 2.0f * sign * atan2f(s, sign * joint[0]) / s;
        for (int k = 0; k < 3; ++k) error[k] = goal[servo + k] - scale * joint[1 + k];
      } else {
        error[0] = dot3(goal + servo, tree.servo_axis.data + 3 * b) - joint[0];
      }
      for (int k = 0; k < (kind == 2 ? 1 : 3); ++k) {
        if (kind == 1) error[k] -= 6.283185307179586f * rintf(error[k] / 6.283185307179586f);
        const float t = tree.stiffness.data[3 * b + k] * error[k] - tree.damping.data[3 * b + k] * rate[k];
        torque[k] = servos.effort_limit > 0.0f ? wp::min(wp::max(t, -servos.effort_limit), servos.effort_limit) : t;
      }
    }
    float Y[18], Z[18], excess[3], t[3];
    for (int k = 0; k < 3; ++k) excess[k] = torque[k] - dot3(u + 3 * k, f) - dot3(w + 3 * k, f + 3);
    at = 0;
    for (int i = 0; i < 3; ++i) {
      for (int e = 0; e < 6; ++e) Y[6 * i + e] = Z[6 * i + e] = 0.0f;
      t[i] = 0.0f;
      for (int k = 0; k <= i; ++k, ++at) {
        for (int e = 0; e < 6; ++e) {
          Y[6 * i + e] += inv[at] * U[6 * k + e];
          Z[6 * i + e] += inv[at] * (e < 3 ? u[3 * k + e] : w[3 * k + e - 3]);
        }
        t[i] += inv[at] * excess[k];
      }
      reduced[3 * b + i] = t[i];
    }
    float* keep = records + b * kRecord;
    for (int i = 0; i < 18; ++i) keep[i] = Y[i], keep[18 + i] = Z[i];
    for (int i = 0; i < 6; ++i) keep[36 + i] = inv[i], keep[42 + i] = velocity[6 * b + i];

    // what the parent inherits: I - Y Y' and f + (I - Y Y') c + Y t
    const int row[6] = {0, 1, 2, 0, 0, 1}, col[6] = {0, 1, 2, 1, 2, 2};
    for (int k = 0; k < 3; ++k) {
      const float* y = Y + 6 * k;
      for (int i = 0; i < 6; ++i) {
        a[i] -= y[row[i]] * y[col[i]];
        a[15 + i] -= y[3 + row[i]] * y[3 + col[i]];
      }
      for (int i = 0; i < 9; ++i) a[6 + i] -= y[i / 3] * y[3 + i % 3];
    }
    const float* c = bias_motion + 6 * b;
    const float J2[9] = {a[0], a[3], a[4], a[3], a[1], a[5], a[4], a[5], a[2]};
    const float M2[9] = {a[15], a[18], a[19], a[18], a[16], a[20], a[19], a[20], a[17]};
    for (int i = 0; i < 3; ++i) {
      f[i] += dot3(J2 + 3 * i, c) + dot3(a + 6 + 3 * i, c + 3);
      f[3 + i] += a[6 + i] * c[0] + a[9 + i] * c[1] + a[12 + i] * c[2] + dot3(M2 + 3 * i, c + 3);
    }
    for (int k = 0; k < 3; ++k)
      for (int e = 0; e < 6; ++e) f[e] += Y[6 * k + e] * t[k];
    for (int i = 0; i < 21; ++i) inertia[21 * b + i] = a[i];
    for (int i = 0; i < 6; ++i) force[6 * b + i] = f[i];
  }
  SYNC();
}

for (int level = 0; level < nlevel; ++level) {
  FOR_LANES(b, tree.level_begin.data[level], tree.level_begin.data[level + 1]) {
    const int parent = tree.parent.data[b];
    float* keep = records + b * kRecord;
    float before[6], s[3];
    for (int i = 0; i < 6; ++i) before[i] = bias_motion[6 * b + i] + (parent >= 0 ? motion[6 * parent + i] : 0.0f);
    for (int k = 0; k < 3; ++k) {
      s[k] = reduced[3 * b + k];
      for (int e = 0; e < 6; ++e) s[k] -= keep[6 * k + e] * before[e];
    }
    const float* inv = keep + 36;
    const float acceleration[3] = {
        inv[0] * s[0] + inv[1] * s[1] + inv[3] * s[2], inv[2] * s[1] + inv[4] * s[2], inv[5] * s[2]};
    for (int k = 0; k < (tree.kind.data[b] == 2 ? 1 : 3); ++k) smooth[tree.vadr.data[b] + k] = acceleration[k];
    for (int e = 0; e < 6; ++e) {
      const float own = keep[18 + e] * s[0] + keep[24 + e] * s[1] + keep[30 + e] * s[2];
      motion[6 * b + e] = before[e] + own;
      keep[48 + e] = own + (parent >= 0 ? records[parent * kRecord + 48 + e] : 0.0f);
    }
  }
  SYNC();
}

FOR_LANES(g, 0, ngeom) {
  const int b = tree.geom_block.data[g];
  float local[9], turned[9], place[3];
  matrix_of(tree.geom_quat.data + 4 * g, local);
  for (int i = 0; i < 3; ++i) place[i] = tree.geom_pos.data[3 * g + i];
  if (b >= 0) {
    const float* root = q + tree.root_qadr.data[b];
    float moved[3];
    times33(rot + 9 * b, local, turned);
    times3(rot + 9 * b, place, moved);
    for (int i = 0; i < 3; ++i) place[i] = root[i] + origin[3 * b + i] + moved[i];
  } else {
    for (int i = 0; i < 9; ++i) turned[i] = local[i];
  }
  float* x = (float*)(geom_xpos.data + (size_t)world * ngeom + g);
  float* m = (float*)(geom_xmat.data + (size_t)world * ngeom + g);
  for (int i = 0; i < 3; ++i) x[i] = place[i];
  for (int i = 0; i < 9; ++i) m[i] = turned[i];
}
SYNC();
