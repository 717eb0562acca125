using System.Collections.ObjectModel;
using System.IO.Compression;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Engine.Grpc.Wire;

namespace Grpc.AspNetCore.Server;

/// <summary>How gRPC services are served; the values of one service win over those for all.</summary>
public class GrpcServiceOptions
{
    private int? _maxReceiveMessageSize = GrpcNames.DefaultMaxReceiveMessageSize;
    private int? _maxSendMessageSize;

    /// <summary>Largest request message in bytes, after decompression; larger ones end the call with RESOURCE_EXHAUSTED before they are buffered.</summary>
    /// <value>Default 4 MiB; null for no limit.</value>
    public int? MaxReceiveMessageSize
    {
        get => _maxReceiveMessageSize;
        set
        {
            _maxReceiveMessageSize = value;
            MaxReceiveMessageSizeSpecified = true;
        }
    }

    /// <summary>Largest response message in bytes, before compression; larger ones fail the write with RESOURCE_EXHAUSTED.</summary>
    /// <value>Default null, no limit.</value>
    public int? MaxSendMessageSize
    {
        get => _maxSendMessageSize;
        set
        {
            _maxSendMessageSize = value;
            MaxSendMessageSizeSpecified = true;
        }
    }

    /// <summary>Whether clients see the text of unexpected exceptions. Only for development: it may tell secrets.</summary>
    /// <value>Default false.</value>
    public bool? EnableDetailedErrors { get; set; }

    /// <summary>Encoding of the responses for clients that accept it: <c>gzip</c>, or null for none.</summary>
    /// <value>Default null.</value>
    public string? ResponseCompressionAlgorithm { get; set; }

    /// <summary>How hard to compress.</summary>
    /// <value>Default <see cref="CompressionLevel.Fastest"/>.</value>
    public CompressionLevel? ResponseCompressionLevel { get; set; }

    /// <summary>Whether calls of services that nobody mapped pass on to other endpoints instead of ending with UNIMPLEMENTED.</summary>
    /// <value>Default false. Read from the options for all services only.</value>
    public bool? IgnoreUnknownServices { get; set; }

    /// <summary>Wraps every call; the first one is the outermost. Those for all services are outside those of one service.</summary>
    public InterceptorCollection Interceptors { get; } = [];

    internal bool MaxReceiveMessageSizeSpecified { get; private set; }

    internal bool MaxSendMessageSizeSpecified { get; private set; }
}

/// <summary>Options of one service.</summary>
public class GrpcServiceOptions<TService> : GrpcServiceOptions
    where TService : class;

/// <summary>Interceptor types in the order in which they see a call.</summary>
public class InterceptorCollection : Collection<InterceptorRegistration>
{
    /// <summary>Adds a type; an instance comes from the container, or is made for each call with these arguments.</summary>
    public void Add<TInterceptor>(params object[] args)
        where TInterceptor : Interceptor => Add(typeof(TInterceptor), args);

    /// <summary>Adds a type.</summary>
    /// <exception cref="ArgumentException">The type is no <see cref="Interceptor"/>.</exception>
    public void Add(Type interceptorType, params object[] args) => Add(new InterceptorRegistration(interceptorType, args));
}

/// <summary>An interceptor type and the arguments it is made with.</summary>
public class InterceptorRegistration
{
    internal InterceptorRegistration(Type type, object[] arguments)
    {
        ArgumentNullException.ThrowIfNull(type);
        ArgumentNullException.ThrowIfNull(arguments);
        if (!type.IsSubclassOf(typeof(Interceptor)))
        {
            throw new ArgumentException($"{type} does not derive from {typeof(Interceptor)}.", nameof(type));
        }

        Type = type;
        Arguments = arguments;
    }

    /// <summary>The type.</summary>
    public Type Type { get; }

    /// <summary>Its constructor arguments that the container does not know.</summary>
    public IReadOnlyList<object> Arguments { get; }
}

/// <summary>Goes on configuring gRPC.</summary>
public interface IGrpcServerBuilder
{
    /// <summary>The container's registrations.</summary>
    IServiceCollection Services { get; }
}
