// Reads binary PPM as float32 with channels first, RGB in [0, 1]; writes alpha as PFM (float32).
#pragma once
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

struct Picture {
  int width = 0, height = 0;
  std::vector<float> values;  // 3 * height * width
};

inline Picture read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  int most = 0;
  Picture picture;
  file >> kind >> picture.width >> picture.height >> most;
  file.get();  // the one white space after the header
  const size_t pixels = size_t(picture.width) * picture.height;
  std::vector<unsigned char> bytes(std::istreambuf_iterator<char>(file), {});
  if (kind != "P6" || most != 255 || bytes.size() < 3 * pixels)
    throw std::runtime_error(path + " is not a binary PPM of 8 bits without comments");
  picture.values.resize(3 * pixels);
  for (size_t i = 0; i < pixels; ++i)
    for (size_t channel = 0; channel < 3; ++channel)
      picture.values[channel * pixels + i] = bytes[3 * i + channel] / 255.0f;
  return picture;
}

// Rows from bottom to top, as the format wants them; "-1" says little endian.
inline void write_pfm(const std::string& path, const float* alpha, int width, int height) {
  std::ofstream file(path, std::ios::binary);
  file << "Pf\n" << width << ' ' << height << "\n-1.0\n";
  for (int row = height - 1; row >= 0; --row)
    file.write(reinterpret_cast<const char*>(alpha + size_t(row) * width), 4 * std::streamsize(width));
  if (!file.flush()) throw std::runtime_error("can't write " + path);
}
