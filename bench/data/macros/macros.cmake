# The version is written when the package is built, not when a spec is parsed.
%_cmake_version         @@CMAKE_VERSION@@
%__cmake                /usr/bin/cmake
%cmake \
  %{set_build_flags} ; \
  %{__cmake} -S "%{_vpath_srcdir}" -B "%{_vpath_builddir}" \\\
        -DCMAKE_INSTALL_PREFIX:PATH=%{_prefix} \\\
        -DINCLUDE_INSTALL_DIR:PATH=%{_includedir} \\\
        -DLIB_INSTALL_DIR:PATH=%{_libdir} \\\
        -DSYSCONF_INSTALL_DIR:PATH=%{_sysconfdir} \\\
        -DSHARE_INSTALL_PREFIX:PATH=%{_datadir}
%cmake_build            %{__cmake} --build "%{_vpath_builddir}" %{?_smp_mflags} --verbose
%cmake_install          DESTDIR="%{buildroot}" %{__cmake} --install "%{_vpath_builddir}"
%ctest                  ctest --test-dir "%{_vpath_builddir}" --output-on-failure %{?_smp_mflags}
