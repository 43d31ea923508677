"""A glTF document under construction: arrays, textures and materials put into its one binary buffer.

`pygltflib` holds the document and writes it; this module only keeps the book of buffer views and accessors.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mjx_skillmimic.viewing.gltf_meshes import Mesh

_LIGHTS = "KHR_lights_punctual"


class ExportError(ImportError):
    """The optional library that an export needs is not there; the message says how to install it."""


def library() -> ModuleType:
    """`pygltflib`. Raises ExportError with the command that installs it."""
    try:
        import pygltflib
    except ImportError as error:
        raise ExportError("a glTF export needs pygltflib: pip install 'mjx_skillmimic[export]'") from error
    return pygltflib


class Document:
    """Adds things to `gltf` (a `pygltflib.GLTF2`) and answers their indices; it has one animation."""

    def __init__(self, times: np.ndarray, name: str) -> None:
        """times: (T,) s, the keys of the animation `name`. Raises ExportError without pygltflib."""
        self._lib = library()
        self.gltf = self._lib.GLTF2()
        self._blob = bytearray()
        self._animation = self._lib.Animation(name=name)
        self._clock = self.array(times.astype(np.float32), bounds=True)

    def _view(self, data: bytes, target: int | None = None) -> int:
        self._blob.extend(b"\0" * (-len(self._blob) % 4))
        view = self._lib.BufferView(buffer=0, byteOffset=len(self._blob), byteLength=len(data), target=target)
        self._blob.extend(data)
        return self._append(self.gltf.bufferViews, view)

    @staticmethod
    def _append(items: list[Any], item: Any) -> int:
        items.append(item)
        return len(items) - 1

    def array(self, values: np.ndarray, target: int | None = None, bounds: bool = False) -> int:
        """Accessor of float32 (n,) to (n, 4) or uint32 (n,) values; bounds: with the least and greatest."""
        lib = self._lib
        kind = lib.UNSIGNED_INT if values.dtype == np.uint32 else lib.FLOAT
        data = np.ascontiguousarray(values, "<u4" if kind == lib.UNSIGNED_INT else "<f4")
        flat = data.reshape(len(data), -1)
        accessor = lib.Accessor(
            bufferView=self._view(data.tobytes(), target),
            componentType=kind,
            count=len(data),
            type=lib.SCALAR if data.ndim == 1 else f"VEC{data.shape[1]}",
            min=flat.min(axis=0).tolist() if bounds else None,
            max=flat.max(axis=0).tolist() if bounds else None,
        )
        return self._append(self.gltf.accessors, accessor)

    def texture(self, png: bytes, name: str, smooth: bool = True) -> int:
        """A repeated texture; smooth: interpolated between its pixels."""
        lib = self._lib
        image = lib.Image(bufferView=self._view(png), mimeType=lib.IMAGEPNG, name=name)
        minified = lib.LINEAR_MIPMAP_LINEAR if smooth else lib.NEAREST_MIPMAP_LINEAR
        sampler = lib.Sampler(
            magFilter=lib.LINEAR if smooth else lib.NEAREST, minFilter=minified, wrapS=lib.REPEAT, wrapT=lib.REPEAT
        )
        source, sampler = self._append(self.gltf.images, image), self._append(self.gltf.samplers, sampler)
        return self._append(self.gltf.textures, lib.Texture(source=source, sampler=sampler, name=name))

    def material(self, name: str, rgba: tuple[float, ...], texture: int | None = None, roughness: float = 0.65) -> int:
        """A dielectric of an sRGB colour with alpha in [0, 1]; below 1 it is blended."""
        lib = self._lib
        pbr = lib.PbrMetallicRoughness(
            baseColorFactor=[*linear(np.array(rgba[:3])), rgba[3]],
            baseColorTexture=None if texture is None else lib.TextureInfo(index=texture),
            metallicFactor=0.0,
            roughnessFactor=roughness,
        )
        mode = lib.OPAQUE if rgba[3] >= 1.0 else lib.BLEND
        material = lib.Material(name=name, pbrMetallicRoughness=pbr, alphaMode=mode, alphaCutoff=None)
        return self._append(self.gltf.materials, material)

    def primitive(self, mesh: Mesh, material: int) -> Any:
        """The triangles of a mesh."""
        lib = self._lib
        textured = self.gltf.materials[material].pbrMetallicRoughness.baseColorTexture is not None
        attributes = lib.Attributes(
            POSITION=self.array(mesh.vertices, lib.ARRAY_BUFFER, bounds=True),
            NORMAL=self.array(mesh.normals, lib.ARRAY_BUFFER),
            TEXCOORD_0=self.array(mesh.uv, lib.ARRAY_BUFFER) if textured else None,
        )
        indices = self.array(mesh.faces.ravel(), lib.ELEMENT_ARRAY_BUFFER)
        return lib.Primitive(attributes=attributes, indices=indices, material=material)

    def mesh(self, name: str, primitive: Any) -> int:
        return self._append(self.gltf.meshes, self._lib.Mesh(name=name, primitives=[primitive]))

    def node(self, name: str, children: list[int] | None = None, **what: Any) -> int:
        """A node; what: mesh, camera, translation, rotation (xyzw), extensions."""
        return self._append(self.gltf.nodes, self._lib.Node(name=name, children=children or [], **what))

    def animate(self, node: int, path: str, values: np.ndarray) -> None:
        """Keys a node's "translation" (T, 3) or "rotation" (T, 4) xyzw, linear between the keys."""
        lib = self._lib
        sampler = lib.AnimationSampler(input=self._clock, output=self.array(values), interpolation=lib.ANIM_LINEAR)
        target = lib.AnimationChannelTarget(node=node, path=path)
        index = self._append(self._animation.samplers, sampler)
        self._animation.channels.append(lib.AnimationChannel(sampler=index, target=target))

    def sun(self, name: str, lux: float) -> dict[str, Any]:
        """The extensions of a node that shines along its own −z, as a directional light."""
        lights = self.gltf.extensions.setdefault(_LIGHTS, {"lights": []})["lights"]
        if _LIGHTS not in self.gltf.extensionsUsed:
            self.gltf.extensionsUsed.append(_LIGHTS)
        light = {"type": "directional", "name": name, "color": [1.0, 1.0, 1.0], "intensity": lux}
        return {_LIGHTS: {"light": self._append(lights, light)}}

    def camera(self, name: str, fov_y: float, aspect: float) -> int:
        """A perspective camera, `fov_y` in degrees; its node looks along its own −z."""
        lens = self._lib.Perspective(yfov=float(np.radians(fov_y)), aspectRatio=aspect, znear=0.05, zfar=200.0)
        return self._append(self.gltf.cameras, self._lib.Camera(type="perspective", perspective=lens, name=name))

    def save(self, path: str | Path, root: int) -> Path:
        """Writes the .glb, whose scene is the node `root` and what is below it."""
        lib = self._lib
        self.gltf.scenes, self.gltf.scene = [lib.Scene(nodes=[root])], 0
        self.gltf.animations = [self._animation]
        self.gltf.asset = lib.Asset(version="2.0", generator="mjx_skillmimic")
        self.gltf.buffers = [self._lib.Buffer(byteLength=len(self._blob))]
        self.gltf.set_binary_blob(bytes(self._blob))
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.gltf.save_binary(path)
        return path


def linear(srgb: np.ndarray) -> list[float]:
    """sRGB in [0, 1] as the linear values that glTF's colour factors are."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).tolist()
