// Matte a photograph with LibTorch: TorchScript (.pt) or a package of AOTInductor (.aoti.pt2).
//
//     matte_torch NETWORK FRAME.ppm PLATE.ppm ALPHA.pfm
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/script.h>

#include <iostream>

#include "pictures.h"

using torch::Tensor;

static Tensor to_tensor(const Picture& picture) {
  return torch::tensor(picture.values).view({1, 3, picture.height, picture.width});
}

static Tensor predict(const std::string& network, const Tensor& src, const Tensor& bgr) {
  // The second result is the foreground.
  if (network.ends_with(".aoti.pt2"))
    return torch::inductor::AOTIModelPackageLoader(network).run({src, bgr}).at(0);
  auto module = torch::jit::load(network);
  return module.forward({src, bgr}).toTuple()->elements().at(0).toTensor();
}

int main(int count, char** arguments) try {
  if (count != 5) throw std::runtime_error("usage: matte_torch NETWORK FRAME.ppm PLATE.ppm ALPHA.pfm");
  const torch::InferenceMode inference;
  const Picture frame = read_ppm(arguments[2]), plate = read_ppm(arguments[3]);
  const Tensor alpha = predict(arguments[1], to_tensor(frame), to_tensor(plate)).contiguous();
  write_pfm(arguments[4], alpha.data_ptr<float>(), frame.width, frame.height);
} catch (const std::exception& error) {
  std::cerr << "error: " << error.what() << '\n';
  return 1;
}
