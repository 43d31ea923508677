// What the forces do: net force of every body, edges of the contact graph, and the next coordinates.
FOR_LANES(c, 0, nc) {
  const float* f = frame + 9 * c;
  const float x = g[3 * c], y = g[3 * c + 1], z = g[3 * c + 2];
  for (int i = 0; i < 3; ++i) ahead[3 * c + i] = x * f[i] + y * f[3 + i] + z * f[6 + i];
}
SYNC();
FOR_LANES(which, 0, nbody) {
  float sum[3] = {0, 0, 0};
  for (int c = 0; c < nc; ++c) {
    const float sign = (float)(body[2 * c + 1] == which) - (float)(body[2 * c] == which);
    for (int i = 0; i < 3; ++i) sum[i] += sign * ahead[3 * c + i];
  }
  float* out = body_force.data + ((size_t)world * nbody + which) * 3;
  for (int i = 0; i < 3; ++i) out[i] = (solver.fresh ? 0.0f : out[i]) + solver.share * sum[i];
}
FOR_LANES(kind, 0, 3) {
  int any = solver.fresh ? 0 : edges.data[3 * world + kind];
  for (int c = 0; c < nc; ++c) any |= kinds[c] >> kind & 1;
  edges.data[3 * world + kind] = any;
}
if (lane == 0) {
  const int buffer = nacon.data[0] > naconmax || ncollision.data[0] > naconmax;
  const int lost = (solver.fresh ? 0 : overflow.data[world]) | (found > limit) | buffer | ((engine_overflow.data[world] & room.lost_bits) != 0);
  overflow.data[world] = lost;
}


// acceleration that the contacts add: one sweep up the tree, one down; the matrices are not needed any more
float* carried = A;                      // spatial force a block passes on (6), later the acceleration it gets
float* reduced = carried + 6 * kBlocks;
float* kept = reduced + 3 * kBlocks;     // Y, Z, C^-1 of every block
if (nc) {
  FOR_LANES(i, 0, 42 * kBlocks) kept[i] = records[i / 42 * kRecord + i % 42];
  FOR_LANES(b, 0, kBlocks) {
    float sum[6] = {0, 0, 0, 0, 0, 0};
    for (int c = 0; c < nc; ++c)
      for (int side = 0; side < 2; ++side) {
        if (block[2 * c + side] != b) continue;
        float moment[3];
        cross3(arms + 6 * c + 3 * side, ahead + 3 * c, moment);
        for (int i = 0; i < 3; ++i) {
          sum[i] += side ? moment[i] : -moment[i];
          sum[3 + i] += side ? ahead[3 * c + i] : -ahead[3 * c + i];
        }
      }
    for (int i = 0; i < 6; ++i) carried[6 * b + i] = sum[i];
  }
  SYNC();
  for (int level = nlevel - 1; level >= 0; --level) {
    FOR_LANES(b, tree.level_begin.data[level], tree.level_begin.data[level + 1]) {
      const float* keep = kept + 42 * b;
      float p[6], t[3];
      for (int a = 0; a < 6; ++a) p[a] = carried[6 * b + a];
      for (int child = tree.child.data[b]; child < tree.child.data[b] + tree.children.data[b]; ++child)
        for (int a = 0; a < 6; ++a) p[a] += carried[6 * child + a];
      for (int k = 0; k < 3; ++k) {
        t[k] = 0.0f;
        for (int a = 0; a < 6; ++a) t[k] += keep[18 + 6 * k + a] * p[a];
        reduced[3 * b + k] = t[k];
      }
      for (int a = 0; a < 6; ++a) carried[6 * b + a] = p[a] - keep[a] * t[0] - keep[6 + a] * t[1] - keep[12 + a] * t[2];
    }
    SYNC();
  }
  for (int level = 0; level < nlevel; ++level) {
    FOR_LANES(b, tree.level_begin.data[level], tree.level_begin.data[level + 1]) {
      const int parent = tree.parent.data[b];
      const float* keep = kept + 42 * b;
      float above[6] = {0, 0, 0, 0, 0, 0}, s[3];
      if (parent >= 0)
        for (int a = 0; a < 6; ++a) above[a] = carried[6 * parent + a];
      for (int k = 0; k < 3; ++k) {
        s[k] = reduced[3 * b + k];
        for (int a = 0; a < 6; ++a) s[k] -= keep[6 * k + a] * above[a];
        reduced[3 * b + k] = s[k];
      }
      for (int a = 0; a < 6; ++a)
        carried[6 * b + a] = above[a] + keep[18 + a] * s[0] + keep[24 + a] * s[1] + keep[30 + a] * s[2];
    }
    SYNC();
  }
}
FOR_LANES(b, 0, kBlocks) {
  const int kind = tree.kind.data[b], vadr = tree.vadr.data[b], qadr = tree.qadr.data[b];
  const int dofs = kind == 2 ? 1 : 3;
  float added[3] = {0, 0, 0}, rate[3];
  if (nc) {
    const float* inv = kept + 42 * b + 36;
    const float* s = reduced + 3 * b;
    added[0] = inv[0] * s[0] + inv[1] * s[1] + inv[3] * s[2];
    added[1] = inv[2] * s[1] + inv[4] * s[2];
    added[2] = inv[5] * s[2];
  }
  for (int k = 0; k < dofs; ++k) {
    rate[k] = v[vadr + k] + timestep * (smooth[vadr + k] + added[k]);
    qvel_out.data[(size_t)world * nv + vadr + k] = rate[k];
  }
  const float* from = q + qadr;
  float* to = qpos_out.data + (size_t)world * nq + qadr;
  if (kind == 1) {
    const float speed = sqrtf(dot3(rate, rate)), half = 0.5f * timestep * speed;
    const float s = speed > 1e-12f ? sinf(half) / speed : 0.5f * timestep, w = cosf(half);
    const float x = s * rate[0], y = s * rate[1], z = s * rate[2];
    const float turned[4] = {from[0] * w - from[1] * x - from[2] * y - from[3] * z,
                             from[0] * x + from[1] * w + from[2] * z - from[3] * y,
                             from[0] * y - from[1] * z + from[2] * w + from[3] * x,
                             from[0] * z + from[1] * y - from[2] * x + from[3] * w};
    float squared = 0.0f;
    for (int i = 0; i < 4; ++i) squared += turned[i] * turned[i];
    for (int i = 0; i < 4; ++i) to[i] = turned[i] * inverse_root(squared);
  } else {
    for (int i = 0; i < dofs; ++i) to[i] = from[i] + timestep * rate[i];
  }
}
SYNC();
}
