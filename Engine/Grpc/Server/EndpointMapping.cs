using System.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Engine.Grpc.Server;

namespace Microsoft.AspNetCore.Builder
{
    /// <summary>Maps gRPC services to routes.</summary>
    public static class GrpcEndpointRouteBuilderExtensions
    {
        /// <summary>Maps the methods of a service that derives from a generated base class.</summary>
        /// <exception cref="InvalidOperationException">AddGrpc was not called, or the type has no generated base class.</exception>
        public static GrpcServiceEndpointConventionBuilder MapGrpcService<TService>(this IEndpointRouteBuilder builder)
            where TService : class
        {
            ArgumentNullException.ThrowIfNull(builder);
            if (builder.ServiceProvider.GetService<MappedServices>() is null)
            {
                throw new InvalidOperationException("Call services.AddGrpc() before mapping gRPC services.");
            }

            return new GrpcServiceEndpointConventionBuilder(new ServiceMapper<TService>(builder).Map());
        }
    }

    /// <summary>Applies conventions, such as RequireAuthorization, to every method of a service.</summary>
    public sealed class GrpcServiceEndpointConventionBuilder : IEndpointConventionBuilder
    {
        private readonly IReadOnlyList<IEndpointConventionBuilder> _endpoints;

        internal GrpcServiceEndpointConventionBuilder(IReadOnlyList<IEndpointConventionBuilder> endpoints) => _endpoints = endpoints;

        /// <inheritdoc/>
        public void Add(Action<EndpointBuilder> convention)
        {
            foreach (IEndpointConventionBuilder endpoint in _endpoints)
            {
                endpoint.Add(convention);
            }
        }

        /// <inheritdoc/>
        public void Finally(Action<EndpointBuilder> finallyConvention)
        {
            foreach (IEndpointConventionBuilder endpoint in _endpoints)
            {
                endpoint.Finally(finallyConvention);
            }
        }
    }
}

namespace Grpc.AspNetCore.Server
{
    /// <summary>On every gRPC endpoint: which method it serves.</summary>
    public sealed class GrpcMethodMetadata
    {
        /// <summary>A method of a service.</summary>
        public GrpcMethodMetadata(Type serviceType, IMethod method)
        {
            ArgumentNullException.ThrowIfNull(serviceType);
            ArgumentNullException.ThrowIfNull(method);
            ServiceType = serviceType;
            Method = method;
        }

        /// <summary>The class that serves it.</summary>
        public Type ServiceType { get; }

        /// <summary>The method.</summary>
        public IMethod Method { get; }
    }
}

namespace MultiCluster.Engine.Grpc.Server
{
    /// <summary>The generated side of a service class.</summary>
    internal static class GeneratedService
    {
        /// <summary>The attribute on the generated base class, or null when there is none.</summary>
        public static BindServiceMethodAttribute? BindingOf(Type serviceType) => serviceType.GetCustomAttribute<BindServiceMethodAttribute>(inherit: true);

        /// <summary>Tells the binder every method, without handlers.</summary>
        public static void Bind(Type serviceType, ServiceBinderBase binder)
        {
            BindServiceMethodAttribute? binding = BindingOf(serviceType);
            MethodInfo? bind = binding?.BindType.GetMethods(BindingFlags.Public | BindingFlags.Static).FirstOrDefault(
                candidate => candidate.Name == binding.BindMethodName && candidate.GetParameters() is [{ } first, _] && first.ParameterType == typeof(ServiceBinderBase));
            if (bind is null)
            {
                throw new InvalidOperationException($"{serviceType} does not derive from a generated gRPC service base class.");
            }

            bind.Invoke(null, [binder, null]);
        }
    }
}
