// Matte a photograph with OpenVINO: a network as ONNX (.onnx) or OpenVINO IR (.xml).
//
//     matte_openvino NETWORK FRAME.ppm PLATE.ppm ALPHA.pfm
#include <iostream>
#include <openvino/openvino.hpp>

#include "pictures.h"

static ov::Tensor to_tensor(Picture& picture) {  // shares memory
  const ov::Shape shape{1, 3, size_t(picture.height), size_t(picture.width)};
  return ov::Tensor(ov::element::f32, shape, picture.values.data());
}

int main(int count, char** arguments) try {
  if (count != 5) throw std::runtime_error("usage: matte_openvino NETWORK FRAME.ppm PLATE.ppm ALPHA.pfm");
  Picture frame = read_ppm(arguments[2]), plate = read_ppm(arguments[3]);
  ov::Core core;
  // bfloat16 is faster on CPUs that have it, and differs by up to 0.01.
  const auto precision = ov::hint::inference_precision(ov::element::f32);
  auto request = core.compile_model(arguments[1], "CPU", precision).create_infer_request();
  request.set_tensor("src", to_tensor(frame));
  request.set_tensor("bgr", to_tensor(plate));
  request.infer();
  // "fgr" is the foreground.
  const ov::Tensor alpha = request.get_tensor("pha");
  write_pfm(arguments[4], alpha.data<float>(), frame.width, frame.height);
} catch (const std::exception& error) {
  std::cerr << "error: " << error.what() << '\n';
  return 1;
}
