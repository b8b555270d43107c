# FOVEA_PAGE_SOURCE: the page as a C++ source. npm installs what package-lock.json names into web/node_modules, which all build trees
# share; Vite bundles web/; embed.mjs writes the bundle as arrays.
set(web ${PROJECT_SOURCE_DIR}/web)
set(FOVEA_PAGE_SOURCE ${PROJECT_BINARY_DIR}/web/page_files.cpp)

# What Vite takes; Debian 12's own Node.js is older (tools/setup.sh installs one beside it).
function(is_current_node result program)
  execute_process(COMMAND ${program} --version OUTPUT_VARIABLE version ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT version MATCHES "^v([0-9.]+)$" OR CMAKE_MATCH_1 VERSION_LESS 20.19
     OR (CMAKE_MATCH_1 VERSION_GREATER_EQUAL 21 AND CMAKE_MATCH_1 VERSION_LESS 22.12))
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()
find_program(NODE node HINTS ${PROJECT_SOURCE_DIR}/build/node/bin VALIDATOR is_current_node)
if(NOT NODE)
  message(FATAL_ERROR "Node.js 20.19 or newer was not found: run tools/setup.sh, or name it with -DNODE=/path/to/node")
endif()
get_filename_component(node_folder ${NODE} DIRECTORY)
find_program(NPM npm HINTS ${node_folder} NO_DEFAULT_PATH)
find_program(NPM npm REQUIRED)
set(with_node ${CMAKE_COMMAND} -E env PATH=${node_folder}:$ENV{PATH})

add_custom_command(
  OUTPUT ${web}/node_modules/.ready
  COMMAND ${with_node} ${NPM} ci --loglevel error
  COMMAND ${CMAKE_COMMAND} -E touch ${web}/node_modules/.ready
  WORKING_DIRECTORY ${web}
  DEPENDS ${web}/package.json ${web}/package-lock.json ${web}/.npmrc
  COMMENT "Installing what the page is built with (npm)"
  VERBATIM)

file(GLOB_RECURSE page_sources CONFIGURE_DEPENDS ${web}/src/* ${web}/public/*)
add_custom_command(
  OUTPUT ${FOVEA_PAGE_SOURCE}
  COMMAND ${with_node} ${NODE} node_modules/vite/bin/vite.js build --logLevel warn --outDir ${PROJECT_BINARY_DIR}/web/dist --emptyOutDir
  COMMAND ${NODE} embed.mjs ${PROJECT_BINARY_DIR}/web/dist ${FOVEA_PAGE_SOURCE}
  WORKING_DIRECTORY ${web}
  DEPENDS ${page_sources} ${web}/index.html ${web}/vite.config.ts ${web}/tsconfig.json ${web}/embed.mjs ${web}/node_modules/.ready
  COMMENT "Building the page"
  VERBATIM)
