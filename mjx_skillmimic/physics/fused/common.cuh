// Shared by the kernels of this folder. The text is pasted into functions: one thread block works on one world. On a
// CPU the same text runs with a single lane, so every loop over lanes is also the serial program.
#if defined(__CUDA_ARCH__)
const int lane = threadIdx.x;
const int lanes = blockDim.x;
#define SHARED __shared__
#define SYNC() __syncthreads()
#define SYNC_WARP() __syncwarp()
#define ALIGNED __align__(16)
auto load4 = [](const float* p, float* out) {
  const float4 x = *(const float4*)p;
  out[0] = x.x, out[1] = x.y, out[2] = x.z, out[3] = x.w;
};
auto inverse_root = [](float x) { return rsqrtf(x); };
#else
const int lane = 0;
const int lanes = 1;
#define SHARED
#define SYNC()
#define SYNC_WARP()
#define ALIGNED
auto load4 = [](const float* p, float* out) {
  for (int i = 0; i < 4; ++i) out[i] = p[i];
};
auto inverse_root = [](float x) { return 1.0f / sqrtf(x); };
#endif
#define FOR_LANES(i, begin, end) for (int i = (begin) + lane; i < (end); i += lanes)

auto dot3 = [](const float* a, const float* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; };
auto cross3 = [](const float* a, const float* b, float* out) {
  out[0] = a[1] * b[2] - a[2] * b[1];
  out[1] = a[2] * b[0] - a[0] * b[2];
  out[2] = a[0] * b[1] - a[1] * b[0];
};
// out = a (3 x 3, by rows) times b (3)
auto times3 = [](const float* a, const float* b, float* out) {
  for (int i = 0; i < 3; ++i) out[i] = a[3 * i] * b[0] + a[3 * i + 1] * b[1] + a[3 * i + 2] * b[2];
};
// rotation matrix, by rows, of the quaternion q (wxyz), which need not have unit length
auto matrix_of = [](const float* q, float* out) {
  const float n = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];
  const float s = n > 1e-30f ? 2.0f / n : 0.0f;
  const float xx = s * q[1] * q[1], yy = s * q[2] * q[2], zz = s * q[3] * q[3];
  const float xy = s * q[1] * q[2], xz = s * q[1] * q[3], yz = s * q[2] * q[3];
  const float wx = s * q[0] * q[1], wy = s * q[0] * q[2], wz = s * q[0] * q[3];
  out[0] = 1.0f - yy - zz; out[1] = xy - wz; out[2] = xz + wy;
  out[3] = xy + wz; out[4] = 1.0f - xx - zz; out[5] = yz - wx;
  out[6] = xz - wy; out[7] = yz + wx; out[8] = 1.0f - xx - yy;
};
auto times33 = [](const float* a, const float* b, float* out) {
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) out[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
};
