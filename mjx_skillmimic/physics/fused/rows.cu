// Contacts of one world: forces by Newton's method in contact space, then the step of the generalised coordinates.
//
// With B the Jacobian of all contact frames (3 rows a contact), b the relative acceleration that an unconstrained step
// and the reference acceleration leave, and s the convex cost of the friction pyramids, MuJoCo's primal problem
//   min over a:  1/2 (a - a0)' M (a - a0) + s(B a - aref)
// is solved by a = a0 + M^-1 B' g with g = -grad s(rho), rho = b + A g, A = B M^-1 B'. s is piecewise quadratic with
// Hessian K = S S' for the active pyramid edges, so a Newton step solves (1 + S' A S) y = S' b, g = -S y: a system as
// large as the active edges are many (at most three a contact) instead of one as large as the degrees of freedom.
constexpr int kBlocks = @BLOCKS@;
constexpr int kRecord = @RECORD@;
constexpr int kWords = @WORDS@;          // of shared memory; worlds that need more use the workspace
constexpr int kContactWords = @CONTACT_WORDS@;
constexpr int kTreeWords = @TREE_WORDS@;
constexpr float kTiny = 1e-15f;
const int nq = sizes.nq, nv = sizes.nv, ngeom = sizes.ngeom, nbody = sizes.nbody, nlevel = sizes.nlevel;
const int limit = room.contacts, naconmax = room.shared_contacts;
const float timestep = solver.timestep;
#if defined(__CUDA_ARCH__)
#define BIT_COUNT(x) __popcll(x)
#define TOP_BIT(x) (63 - __clzll(x))
#define TAKE(counter) atomicAdd(counter, 1)
#else
#define BIT_COUNT(x) __builtin_popcountll(x)
#define TOP_BIT(x) (63 - __builtin_clzll(x))
#define TAKE(counter) ((*(counter))++)
#endif
typedef unsigned long long Mask;
SHARED ALIGNED float shared_memory[kWords];
SHARED float corner[16];
SHARED float partial[64];
SHARED int taken;

struct Pair { float a, b; };
// sums over lanes of two numbers a lane, in a fixed order
auto totals = [&](float a, float b) {
#if defined(__CUDA_ARCH__)
  for (int offset = 16; offset > 0; offset >>= 1) {
    a += __shfl_xor_sync(0xffffffffu, a, offset);
    b += __shfl_xor_sync(0xffffffffu, b, offset);
  }
  if (lanes > 32) {
    if (lane % 32 == 0) partial[lane / 32] = a, partial[32 + lane / 32] = b;
    __syncthreads();
    a = b = 0.0f;
    for (int i = 0; i < lanes / 32; ++i) a += partial[i], b += partial[32 + i];
    __syncthreads();
  }
#endif
  return Pair{a, b};
};
auto triangle = [](int i, int j) { return i * (i + 1) / 2 + j; };
auto row_and_column = [&](int place, int* row, int* column) {  // of a place in a lower triangle stored by rows
  int i = (int)((sqrtf(8.0f * place + 1.0f) - 1.0f) * 0.5f);
  while (triangle(i + 1, 0) <= place) ++i;
  while (triangle(i, 0) > place) --i;
  *row = i, *column = place - triangle(i, 0);
};
auto mask_of = [&](int b) {
  return b < 0 ? (Mask)0 : (Mask)(unsigned)tree.mask_low.data[b] | (Mask)(unsigned)tree.mask_high.data[b] << 32;
};

for (;;) {  // worlds cost differently: each thread block takes the next one that is left
if (lane == 0) taken = TAKE(next_world.data);
SYNC();
const int world = taken;
if (world >= nworld) break;
const float* q = qpos.data + (size_t)world * nq;
const float* v = qvel.data + (size_t)world * nv;
const float* records = record.data + (size_t)world * kBlocks * kRecord;
const float* smooth = qacc_smooth.data + (size_t)world * nv;
const int* listed = list.data + (size_t)world * limit;
const int found = count.data[world];
const int nc = found < limit ? found : limit;
const int n = 3 * nc;
const int matrix = (triangle(n, 0) + 3) / 4 * 4, widest = (n + 3) / 4 * 4;
const int augmented = (widest + 1) * (widest + 4);

float length = 0.0f;
FOR_LANES(c, 0, nc) {
  const int* pair = (const int*)(contacts.geom.data + listed[c]);
  length += BIT_COUNT(mask_of(tree.geom_block.data[pair[0]]) | mask_of(tree.geom_block.data[pair[1]]));
}
const int chains = 9 * (int)totals(length, 0.0f).a;
const int matrices = matrix + (chains > augmented ? chains : augmented);
const int matrix_words = matrices > kTreeWords ? matrices : kTreeWords;

float* A = matrix_words + nc * kContactWords + 4 <= kWords ? shared_memory : workspace.data + (size_t)slot * room.words;
float* G = A + matrix;                   // 1 + S' A S and its right-hand side; before that W
float* W = G;                            // C^-1 S' times the force's way up: A = W W'
float* beta = A + matrix_words;                  // lower triangle of B M^-1 B' is in A
float* rho = beta + n;
float* g = rho + n;
float* ahead = g + n;                    // g of the full Newton step, then the change of g
float* slope = ahead + n;                // rho of the full Newton step, then the change of rho
float* edge = slope + n;                 // columns of S: three numbers a column
float* pivot = edge + 3 * n;
float* frame = pivot + n + 4;              // by rows: normal, two tangents
float* arms = frame + 9 * nc;            // from the roots of the two trees to the contact
float* weight = arms + 6 * nc;           // D of the pyramid's edges
float* mu = weight + nc;
int* active = (int*)(mu + 2 * nc);
int* first_column = active + nc;
int* id = first_column + nc;
int* key = id + nc;
int* block = key + nc;                   // of the two bodies, -1: the world
int* body = block + 2 * nc;
int* kinds = body + 2 * nc;
int* offset = kinds + nc;                // of the contact's part of W
int* masks = offset + nc;

FOR_LANES(c, 0, nc) {
  const int* pair = (const int*)(contacts.geom.data + listed[c]);
  key[c] = (pair[0] * ngeom + pair[1]) * 16 + contacts.number.data[listed[c]];
}
SYNC();
FOR_LANES(c, 0, nc) {  // the order in the buffer is left to chance; this one is not
  int rank = 0;
  for (int d = 0; d < nc; ++d) rank += key[d] < key[c] || (key[d] == key[c] && d < c);
  const int* pair = (const int*)(contacts.geom.data + listed[c]);
  id[rank] = listed[c];
  for (int side = 0; side < 2; ++side) {
    const int b = tree.geom_block.data[pair[side]];
    block[2 * rank + side] = b;
    body[2 * rank + side] = tree.geom_body.data[pair[side]];
    if (b < 0) continue;
    const float* place = (const float*)(contacts.pos.data + listed[c]);
    const float* root = q + tree.root_qadr.data[b];
    for (int i = 0; i < 3; ++i) arms[6 * rank + 3 * side + i] = place[i] - root[i];
  }
  const Mask mask = mask_of(block[2 * rank]) | mask_of(block[2 * rank + 1]);
  masks[2 * rank] = (int)(mask & 0xffffffffu), masks[2 * rank + 1] = (int)(mask >> 32);
  kinds[rank] = tree.edge_bits.data[4 * tree.geom_node.data[pair[0]] + tree.geom_node.data[pair[1]]];
  const float* rows = (const float*)(contacts.frame.data + listed[c]);
  for (int i = 0; i < 9; ++i) frame[9 * rank + i] = rows[i];
}
SYNC();

auto contact_mask = [&](int c) { return (Mask)(unsigned)masks[2 * c] | (Mask)(unsigned)masks[2 * c + 1] << 32; };
auto edge_value = [&](int c, int e, const float* x) {
  return x[3 * c] + (e % 2 ? -1.0f : 1.0f) * mu[2 * c + e / 2] * x[3 * c + 1 + e / 2];
};
auto edges_below = [&](int c, const float* x) {
  int bits = 0;
  for (int e = 0; e < 4; ++e) bits |= (edge_value(c, e, x) < 0.0f) << e;
  return bits;
};

FOR_LANES(c, 0, nc) {
  const int contact = id[c];
  int before = 0;
  for (int d = 0; d < c; ++d) before += BIT_COUNT(contact_mask(d));
  offset[c] = 9 * before;
  const float* friction = (const float*)(contacts.friction.data + contact);
  const float* solref = (const float*)(contacts.solref.data + contact);
  const float* solimp = (const float*)(contacts.solimp.data + contact);
  // stiffness, damping and impedance of MuJoCo's soft contact
  const float depth = contacts.dist.data[contact] - contacts.margin.data[contact];
  const float low = wp::min(wp::max(solimp[0], 1e-4f), 0.9999f), high = wp::min(wp::max(solimp[1], 1e-4f), 0.9999f);
  const float middle = wp::min(wp::max(solimp[3], 1e-4f), 0.9999f), power = wp::max(1.0f, solimp[4]);
  const float constant = wp::max(solref[0], 2.0f * timestep), ratio = solref[1];
  const float k = solref[0] <= 0.0f ? -solref[0] / wp::max(kTiny, high * high)
                                    : 1.0f / wp::max(kTiny, high * high * constant * constant * ratio * ratio);
  const float damping = ratio <= 0.0f ? -ratio / wp::max(kTiny, high) : 2.0f / wp::max(kTiny, high * constant);
  const float x = fabsf(depth) / wp::max(kTiny, solimp[2]);
  float impedance;
  if (low == high || solimp[2] <= kTiny) impedance = 0.5f * (low + high);
  else if (x >= 1.0f) impedance = high;
  else if (x <= 0.0f) impedance = low;
  else {
    float y = x;
    if (power != 1.0f)
      y = x <= middle ? powf(x, power) / powf(middle, power - 1.0f)
                      : 1.0f - powf(1.0f - x, power) / powf(1.0f - middle, power - 1.0f);
    impedance = low + y * (high - low);
  }
  const float inverse = tree.body_invweight.data[body[2 * c]] + tree.body_invweight.data[body[2 * c + 1]];
  const float sharing = inverse * (1.0f + friction[0] * friction[0]) * 2.0f * friction[0] * friction[0];
  weight[c] = 1.0f / wp::max(sharing * (1.0f - impedance) / impedance, kTiny);
  mu[2 * c] = friction[0], mu[2 * c + 1] = friction[1];
  // kept for the rows below
  pivot[3 * c] = damping, pivot[3 * c + 1] = k * impedance * depth;
}
SYNC();

FOR_LANES(row, 0, n) {  // one unit force, from both bodies up to the roots; and how fast its bodies part
  const int c = row / 3, axis = row % 3;
  const float* e = frame + 9 * c + 3 * axis;
  int i = block[2 * c], j = block[2 * c + 1];
  float first[6] = {0, 0, 0, 0, 0, 0}, second[6] = {0, 0, 0, 0, 0, 0};
  float rate = axis == 0 ? pivot[3 * c + 1] : 0.0f;
  const float damping = pivot[3 * c];
  if (i >= 0) {
    const float* keep = records + i * kRecord + 42;
    cross3(arms + 6 * c, e, first);
    for (int a = 0; a < 3; ++a) first[a] = -first[a], first[3 + a] = -e[a];
    for (int a = 0; a < 6; ++a) rate += first[a] * (keep[6 + a] + damping * keep[a]);
  }
  if (j >= 0) {
    const float* keep = records + j * kRecord + 42;
    cross3(arms + 6 * c + 3, e, second);
    for (int a = 0; a < 3; ++a) second[3 + a] = e[a];
    for (int a = 0; a < 6; ++a) rate += second[a] * (keep[6 + a] + damping * keep[a]);
  }
  beta[row] = rho[row] = rate;
  g[row] = 0.0f;
  float* out = W + offset[c] + 3 * axis;
  auto pass_on = [&](float* p, int b) {
    const float* keep = records + b * kRecord;
    for (int k = 0; k < 3; ++k) {
      float sum = 0.0f;
      for (int a = 0; a < 6; ++a) sum += keep[18 + 6 * k + a] * p[a];
      out[k] = sum;
    }
    for (int a = 0; a < 6; ++a) p[a] -= keep[a] * out[0] + keep[6 + a] * out[1] + keep[12 + a] * out[2];
    out += 9;
    return tree.parent.data[b];
  };
  while (i != j) {
    if (i > j) i = pass_on(first, i);
    else j = pass_on(second, j);
  }
  for (int a = 0; a < 6; ++a) second[a] += first[a];
  while (j >= 0) j = pass_on(second, j);
}
SYNC();

FOR_LANES(pair, 0, triangle(nc, 0)) {
  int i, j;
  row_and_column(pair, &i, &j);
  const Mask mask_i = contact_mask(i), mask_j = contact_mask(j);
  float sum[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
  for (Mask common = mask_i & mask_j; common;) {
    const int b = TOP_BIT(common);
    common ^= (Mask)1 << b;
    const float* x = W + offset[i] + 9 * (BIT_COUNT(mask_i >> b) - 1);
    const float* y = W + offset[j] + 9 * (BIT_COUNT(mask_j >> b) - 1);
    for (int a = 0; a < 3; ++a)
      for (int d = 0; d < 3; ++d) sum[3 * a + d] += dot3(x + 3 * a, y + 3 * d);
  }
  for (int a = 0; a < 3; ++a)
    for (int d = 0; d < 3; ++d)
      if (i != j || d <= a) A[triangle(3 * i + a, 3 * j + d)] = sum[3 * a + d];
}
SYNC();

