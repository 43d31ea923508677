// Newton's method in contact space. G = 1 + S' A S is stored by rows of `stride` floats, filled up to a multiple of four
// columns by the identity; the right-hand side is its last row, which the factorisation turns into the forward solution.
const int member = lane % 32, members = lanes < 32 ? lanes : 32;
// the sums of `totals`, but every warp makes them for itself, without waiting for the others
auto warp_totals = [&](float a, float b) {
#if defined(__CUDA_ARCH__)
  for (int offset = 16; offset > 0; offset >>= 1) {
    a += __shfl_xor_sync(0xffffffffu, a, offset);
    b += __shfl_xor_sync(0xffffffffu, b, offset);
  }
#endif
  return Pair{a, b};
};

for (int iteration = 0; iteration < (nc ? solver.iterations : 0); ++iteration) {
  FOR_LANES(c, 0, nc) active[c] = edges_below(c, rho);
  SYNC();
  auto width = [&](int c) {
    const int edges = BIT_COUNT((Mask)active[c]);
    return edges < 3 ? edges : 3;
  };
  int m = 0;
  for (int c = 0; c < nc; ++c) m += width(c);
  const int size = (m + 3) / 4 * 4, stride = 4 * (size / 4 | 1);
  float* y = G + size * stride;
  FOR_LANES(c, 0, nc) {
    int column = 0;
    for (int d = 0; d < c; ++d) column += width(d);
    first_column[c] = column;
    const float root = sqrtf(weight[c]);
    for (int i = 3 * column; i < 3 * (column + width(c)); ++i) edge[i] = 0.0f;
    if (active[c] == 15) {  // the four edges together weigh the axes by 4, 2 mu1^2, 2 mu2^2
      edge[3 * column] = 2.0f * root;
      edge[3 * column + 4] = 1.41421356f * root * mu[2 * c];
      edge[3 * column + 8] = 1.41421356f * root * mu[2 * c + 1];
    } else {
      for (int e = 0, at = 3 * column; e < 4; ++e) {
        if (!(active[c] >> e & 1)) continue;
        edge[at] = root;
        edge[at + 1 + e / 2] = (e % 2 ? -root : root) * mu[2 * c + e / 2];
        at += 3;
      }
    }
    for (int k = 0; k < width(c); ++k) y[column + k] = dot3(edge + 3 * (column + k), beta + 3 * c);
  }
  for (int row = m; row < size; ++row) {
    FOR_LANES(k, 0, size) G[row * stride + k] = row == k ? 1.0f : 0.0f;
    if (lane == 0) y[row] = 0.0f;
  }
  SYNC();
  FOR_LANES(pair, 0, triangle(nc, 0)) {
    int i, j;
    row_and_column(pair, &i, &j);
    if (!active[i] || !active[j]) continue;
    float a[9];
    for (int r = 0; r < 3; ++r)
      for (int k = 0; k < 3; ++k)
        a[3 * r + k] = i == j && k > r ? A[triangle(3 * i + k, 3 * i + r)] : A[triangle(3 * i + r, 3 * j + k)];
    for (int k = 0; k < width(j); ++k) {
      const int column = first_column[j] + k;
      float image[3];
      times3(a, edge + 3 * column, image);
      for (int r = i == j ? k : 0; r < width(i); ++r) {
        const int row = first_column[i] + r;
        G[row * stride + column] = dot3(edge + 3 * row, image) + (row == column ? 1.0f : 0.0f);
      }
    }
  }
  SYNC();

  // Cholesky, four columns at a time: what the columns to the left leave, then the 4 x 4 block, then the rows below
  for (int first = 0; first < size; first += 4) {
    FOR_LANES(row, first, size + 1) {
      float* own = G + row * stride;
      float sum[4] = {own[first], own[first + 1], own[first + 2], own[first + 3]};
      for (int k = 0; k < first; k += 4) {
        float x[4];
        load4(own + k, x);
        for (int r = 0; r < 4; ++r) {
          float z[4];
          load4(G + (first + r) * stride + k, z);
          sum[r] -= x[0] * z[0] + x[1] * z[1] + x[2] * z[2] + x[3] * z[3];
        }
      }
      for (int r = 0; r < 4; ++r) {
        own[first + r] = sum[r];
        if (row < first + 4) corner[4 * (row - first) + r] = sum[r];
      }
    }
    SYNC();
    const float i0 = inverse_root(corner[0]);
    const float l10 = corner[4] * i0, l20 = corner[8] * i0, l30 = corner[12] * i0;
    const float i1 = inverse_root(corner[5] - l10 * l10);
    const float l21 = (corner[9] - l20 * l10) * i1, l31 = (corner[13] - l30 * l10) * i1;
    const float i2 = inverse_root(corner[10] - l20 * l20 - l21 * l21);
    const float l32 = (corner[14] - l30 * l20 - l31 * l21) * i2;
    const float i3 = inverse_root(corner[15] - l30 * l30 - l31 * l31 - l32 * l32);
    FOR_LANES(row, first, size + 1) {
      float* own = G + row * stride + first;
      own[0] *= i0;
      own[1] = (own[1] - l10 * own[0]) * i1;
      own[2] = (own[2] - l20 * own[0] - l21 * own[1]) * i2;
      own[3] = (own[3] - l30 * own[0] - l31 * own[1] - l32 * own[2]) * i3;
    }
    if (lane == 0) pivot[first] = i0, pivot[first + 1] = i1, pivot[first + 2] = i2, pivot[first + 3] = i3;
    SYNC();
  }
  if (lane < 32) {
    for (int first = size - 4; first >= 0; first -= 4) {
      const float* block_rows = G + first * stride + first;
      const float x3 = y[first + 3] * pivot[first + 3];
      const float x2 = (y[first + 2] - block_rows[3 * stride + 2] * x3) * pivot[first + 2];
      const float x1 = (y[first + 1] - block_rows[3 * stride + 1] * x3 - block_rows[2 * stride + 1] * x2) * pivot[first + 1];
      const float x0 = (y[first] - block_rows[3 * stride] * x3 - block_rows[2 * stride] * x2 - block_rows[stride] * x1)
                       * pivot[first];
      SYNC_WARP();
      const float* rows = G + first * stride;
      for (int k = member; k < first; k += members)
        y[k] -= rows[k] * x0 + rows[stride + k] * x1 + rows[2 * stride + k] * x2 + rows[3 * stride + k] * x3;
      if (lane == 0) y[first] = x0, y[first + 1] = x1, y[first + 2] = x2, y[first + 3] = x3;
      SYNC_WARP();
    }
  }
  SYNC();
  FOR_LANES(i, 0, n) {
    const int c = i / 3;
    float sum = 0.0f;
    for (int k = first_column[c]; k < first_column[c] + width(c); ++k) sum -= edge[3 * k + i % 3] * y[k];
    ahead[i] = sum;
  }
  SYNC();
  FOR_LANES(i, 0, n) {
    float sum = beta[i];
    int at = triangle(i, 0);
    for (int k = 0; k <= i; ++k) sum += A[at + k] * ahead[k];
    at += i;
    for (int k = i + 1; k < n; ++k) {
      at += k;
      sum += A[at] * ahead[k];
    }
    slope[i] = sum;
  }
  SYNC();
  float changed = 0.0f, along = 0.0f, curve = 0.0f;
  for (int c = member; c < nc; c += members) changed += edges_below(c, slope) != active[c];
  const bool exact = warp_totals(changed, 0.0f).a == 0.0f;  // the same edges: the step leads to the minimum
  SYNC();
  FOR_LANES(i, 0, n) {
    if (exact) {
      g[i] = ahead[i];
    } else {
      ahead[i] -= g[i];
      slope[i] -= rho[i];
    }
  }
  SYNC();
  if (exact) break;

  // exact line search: the derivative is piecewise linear and grows
  for (int i = member; i < n; i += members) {
    along += ahead[i] * (rho[i] - beta[i]);
    curve += ahead[i] * slope[i];
  }
  const Pair whole = warp_totals(along, curve);
  auto derivative = [&](float t, float* second) {
    float d1 = 0.0f, d2 = 0.0f;
    for (int i = member; i < 4 * nc; i += members) {
      const float move = edge_value(i / 4, i % 4, slope), value = edge_value(i / 4, i % 4, rho) + t * move;
      if (value < 0.0f) d1 += weight[i / 4] * value * move, d2 += weight[i / 4] * move * move;
    }
    const Pair sum = warp_totals(d1, d2);
    *second = whole.b + sum.b;
    return whole.a + t * whole.b + sum.a;
  };
  float second, low = 0.0f, high = 1e30f, t = 1.0f;
  const float start = derivative(0.0f, &second);
  // Rounding in rho may turn the direction uphill near the end: then the whole step is taken, which starts rho afresh.
  for (int search = 0; search < (start < 0.0f ? solver.searches : 0); ++search) {
    const float d1 = derivative(t, &second);
    if (fabsf(d1) <= 1e-4f * fabsf(start)) break;
    if (d1 > 0.0f) high = t;
    else low = t;
    float next = t - d1 / wp::max(second, kTiny);
    if (!(next > low && next < high)) next = high < 1e30f ? 0.5f * (low + high) : 2.0f * t;
    t = next;
  }
  SYNC();
  FOR_LANES(i, 0, n) {
    g[i] += t * ahead[i];
    rho[i] += t * slope[i];
  }
  SYNC();
  if (start < 0.0f && !(-start * solver.scale > solver.tolerance)) break;
}
